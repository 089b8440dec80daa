"""Pictures and maps in torch's tensors, on any of its devices."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vscugan.runtime.arrays import Array, Transfer
from vscugan.runtime.gates import map_sums
from vscugan.runtime.torch_transfer import PinnedTransfer, TorchTransfer
from vscugan.runtime.workspace import Workspace


class TorchArrays:
    """Tensors on ``device``; maps are in ``dtype`` and ``memory_format``, pictures in fp32 and contiguous."""

    xp = torch

    def __init__(self, device: torch.device, dtype: torch.dtype, memory_format: torch.memory_format) -> None:
        self.device, self.dtype, self.memory_format = device, dtype, memory_format
        self.on_host, self.item_bytes = device.type == "cpu", dtype.itemsize
        self.sum_dtype = torch.float32 if device.type == "mps" else torch.float64

    def computing(self) -> AbstractContextManager[object]:
        """See ``Arrays``."""
        return torch.inference_mode()

    def new_transfer(self) -> Transfer:
        """See ``Arrays``."""
        return PinnedTransfer(self.device) if self.device.type == "cuda" else TorchTransfer(self.device)

    def upload(self, x: NDArray[np.float32]) -> Array:
        """See ``Arrays``."""
        return torch.from_numpy(x).to(self.device)

    def to_host(self, x: Array) -> NDArray[np.float32]:
        """See ``Arrays``."""
        return np.asarray(x.to("cpu", torch.float32).numpy())

    def as_map(self, x: Array) -> Array:
        """See ``Arrays``."""
        return x.to(self.dtype)

    def on_device(self, view: Array) -> Array:
        """See ``Arrays``."""
        return view.to(self.device)

    def copy(self, x: Array) -> Array:
        """See ``Arrays``."""
        return x.clone()

    def pad(self, x: Array, edges: tuple[int, int, int, int], *, reflect: bool) -> Array:
        """See ``Arrays``."""
        return F.pad(x, edges, mode="reflect" if reflect else "replicate")

    def excess(self, x: Array, scale: int) -> Array:
        """See ``Arrays``."""
        return excess(x, scale)

    def is_finite(self, x: Array) -> Any:
        """See ``Arrays``."""
        return torch.isfinite(x.sum(dtype=torch.float32))

    def sums(self, part: Array) -> Array:
        """See ``Arrays``."""
        return map_sums(part, self.sum_dtype)

    def new_picture(self, shape: Sequence[int], workspace: Workspace) -> Array:
        """See ``Arrays``."""
        return self._new(shape, torch.float32, torch.contiguous_format, self.device, workspace)

    def new_map(self, shape: Sequence[int], workspace: Workspace, *, on_host: bool = False) -> Array:
        """See ``Arrays``."""
        device = torch.device("cpu") if on_host else self.device
        return self._new(shape, self.dtype, self.memory_format, device, workspace)

    def _new(
        self,
        shape: Sequence[int],
        dtype: torch.dtype,
        memory_format: torch.memory_format,
        device: torch.device,
        workspace: Workspace,
    ) -> Tensor:
        """Of the workspace's memory on the host; torch keeps that of other devices by itself."""
        if device.type != "cpu":
            return torch.empty(tuple(shape), dtype=dtype, device=device, memory_format=memory_format)
        flat = torch.from_numpy(workspace.take(prod(shape) * dtype.itemsize)).view(dtype)
        if memory_format == torch.channels_last:
            n, c, h, w = shape
            return flat.view(n, h, w, c).permute(0, 3, 1, 2)
        return flat.view(tuple(shape))

    def is_dense(self, view: Array) -> bool:
        """See ``Arrays``."""
        return bool(view.is_contiguous(memory_format=self.memory_format))

    def give(self, x: Array, workspace: Workspace) -> None:
        """See ``Arrays``."""
        workspace.give(x.data_ptr())


def excess(x: Tensor, scale: int) -> Tensor:
    """What of (1, C, H, W) lies outside of 0..1, enlarged; bilinear, which adds no rings around hard edges."""
    return F.interpolate(x - x.clamp(0, 1), scale_factor=scale, mode="bilinear", align_corners=False)
