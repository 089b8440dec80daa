"""A user's whole network, run by torch."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from vscugan.architectures.parts import Gate, Stage
from vscugan.models.weights import Weights
from vscugan.models.whole_network import TorchNetwork, check_made
from vscugan.runtime.protocol import Gates, PassOptions
from vscugan.runtime.torch_arrays import TorchArrays
from vscugan.runtime.workspace import Workspace

_cudnn_flags = threading.Lock()  # they are the whole process's


class ModuleRuntime:
    """Runs a network of spandrel's on windows of the picture, one at a time: such networks may keep what they compute.

    Its result is in 0..1, as spandrel's are.
    """

    name = "torch"
    returns_gates = True  # there are none
    keeps_maps = False
    largest_buffer: int | None = None
    #: of what was counted as alive at once: on the CPU ESRGAN's peak of resident memory is 1.43 times that
    working_maps = 1.5
    dense_windows = False
    preferred_tile_px = 0

    def __init__(self, weights: Weights, device: torch.device, dtype: torch.dtype) -> None:
        assert isinstance(weights.network, TorchNetwork)
        self.architecture, self._device = weights.architecture, device
        self.arrays = TorchArrays(device, dtype, torch.contiguous_format)
        self._network: Any = weights.network.run
        if (device.type, dtype) != ("cpu", torch.float32):
            self._network = copy.deepcopy(self._network).to(device, dtype)
        self._lock = threading.Lock()

    def run_network(self, padded: Tensor, workspace: Workspace, options: PassOptions) -> tuple[Tensor, Gates]:
        """See ``Runtime``."""
        with self._lock:
            with self._exact():
                y: Tensor = self._network(padded.clone(memory_format=torch.contiguous_format))
            if self._device.type == "cuda":
                torch.cuda.current_stream(self._device).synchronize()  # what it keeps is ready for the next frame
        check_made(self.architecture, padded, y)
        return y.to(torch.float32).contiguous(), ()

    @contextmanager
    def _exact(self) -> Iterator[None]:
        """As ``TorchRuntime`` computes: without TF32, and without kernels that add in any order."""
        if self._device.type != "cuda":
            yield
            return
        flags = torch.backends.cudnn.flags
        with _cudnn_flags, flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield

    def run_stage(
        self, k: int, stage: Stage, read: Mapping[str, Tensor], gates: Mapping[str, Tensor], workspace: Workspace
    ) -> dict[str, Tensor]:
        """See ``Runtime``: the network has no stages that are run one at a time."""
        raise NotImplementedError

    def map_sum(
        self, k: int, padded: Tensor, own: tuple[slice, slice], gates: Mapping[str, Tensor], workspace: Workspace
    ) -> Tensor:
        """See ``Runtime``: the network has no gates."""
        raise NotImplementedError

    def gate(self, gate: Gate, mean: Tensor, alpha: float) -> Tensor:
        """See ``Runtime``: the network has no gates."""
        raise NotImplementedError
