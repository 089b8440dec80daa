"""What pictures and maps are made of, and what the engine and the tiler do with them.

Here those of NumPy, in the host's memory; ``torch_arrays`` has torch's. Slices and ``+=`` are the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vscugan.install import require_torch
from vscugan.runtime.workspace import Workspace

#: NumPy's or torch's: pictures and maps (N, C, H, W), gates (1, C, 1, 1).
type Array = Any


class Transfer(Protocol):
    """A frame's way to where it is computed and back. Belongs to one frame at a time."""

    def upload(self, picture: NDArray[np.float32]) -> Array:
        """A picture (3, H, W) fp32 as (1, 3, H, W) where it is computed; on the host it is not copied. Once a frame."""

    def write(self, y: Array, planes: Sequence[NDArray[np.float32]], over: Array | None = None) -> None:
        """Write (3, h, w) fp32, clipped to 0..1, into planes (h, w) on the host; ``over`` (3, h, w) is added then."""


class Arrays(Protocol):
    """The arrays that a runtime takes and returns. Safe to use from several threads."""

    @property
    def xp(self) -> Any:
        """The module whose functions make and change them: ``clip``, ``isfinite``."""

    @property
    def on_host(self) -> bool:
        """Whether they are in the host's memory."""

    @property
    def item_bytes(self) -> int:
        """Bytes of a value of a map."""

    def computing(self) -> AbstractContextManager[object]:
        """What must be entered while a frame is computed."""

    def new_transfer(self) -> Transfer:
        """For a frame in flight."""

    def upload(self, x: NDArray[np.float32]) -> Array:
        """An array of the host where it is computed, fp32; on the host it is not copied."""

    def to_host(self, x: Array) -> NDArray[np.float32]:
        """An array on the host, fp32; there it is not copied."""

    def as_map(self, x: Array) -> Array:
        """A picture, or a gate, in the precision of maps."""

    def on_device(self, view: Array) -> Array:
        """A window of a map that was kept on the host, where it is computed."""

    def copy(self, x: Array) -> Array:
        """The same in memory of its own."""

    def pad(self, x: Array, edges: tuple[int, int, int, int], *, reflect: bool) -> Array:
        """A picture with more px at its left, right, top and bottom: reflected ones, or the outermost repeated."""

    def excess(self, x: Array, scale: int) -> Array:
        """What of (1, C, H, W) lies outside of 0..1, enlarged; bilinear, which adds no rings around hard edges."""

    def is_finite(self, x: Array) -> Any:
        """Whether (N, C, H, W) holds no NaN or Inf, as a scalar that the device may not have computed yet."""

    def sums(self, part: Array) -> Array:
        """(1, C, h, w) -> (1, C) sums: columns at least in fp64, where the device has that."""

    def new_picture(self, shape: Sequence[int], workspace: Workspace) -> Array:
        """An uninitialised array (N, C, H, W) in fp32; ``give`` it back when it is not read any more."""

    def new_map(self, shape: Sequence[int], workspace: Workspace, *, on_host: bool = False) -> Array:
        """The same in the precision and layout of maps; ``on_host``: in the host's memory, wherever it is computed."""

    def is_dense(self, view: Array) -> bool:
        """Whether a window of a map lies in one piece in the layout of maps."""

    def give(self, x: Array, workspace: Workspace) -> None:
        """Give back what ``new_picture`` or ``new_map`` handed out; others are let be."""


class HostArrays:
    """Those of NumPy, in fp32. ``channels_last``: maps lie in memory as (N, H, W, C)."""

    xp = np
    on_host = True
    item_bytes = 4

    def __init__(self, *, channels_last: bool = False) -> None:
        self.channels_last = channels_last

    def computing(self) -> AbstractContextManager[object]:
        """See ``Arrays``."""
        return nullcontext()

    def new_transfer(self) -> Transfer:
        """See ``Arrays``."""
        return HostTransfer()

    def upload(self, x: NDArray[np.float32]) -> Array:
        """See ``Arrays``."""
        return x

    def to_host(self, x: Array) -> NDArray[np.float32]:
        """See ``Arrays``."""
        return np.asarray(x)

    def as_map(self, x: Array) -> Array:
        """See ``Arrays``."""
        return x

    def on_device(self, view: Array) -> Array:
        """See ``Arrays``."""
        return view

    def copy(self, x: Array) -> Array:
        """See ``Arrays``."""
        return x.copy()

    def pad(self, x: Array, edges: tuple[int, int, int, int], *, reflect: bool) -> Array:
        """See ``Arrays``."""
        left, right, top, bottom = edges
        return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), mode="reflect" if reflect else "edge")

    def excess(self, x: Array, scale: int) -> Array:
        """See ``Arrays``; by torch, whose rounding NumPy does not have."""
        torch = require_torch("overshoot=restore")
        from vscugan.runtime.torch_arrays import excess

        return excess(torch.from_numpy(x), scale).numpy()

    def is_finite(self, x: Array) -> Any:
        """See ``Arrays``."""
        with np.errstate(all="ignore"):  # what overflows, or is none, is the answer
            return np.isfinite(x.sum((0, 1, 2)).sum())  # rows are added in vectors: half the time of one long sum

    def sums(self, part: Array) -> Array:
        """See ``Arrays``; all in fp64."""
        with np.errstate(invalid="ignore"):
            return part.sum((2, 3), dtype=np.float64)

    def new_picture(self, shape: Sequence[int], workspace: Workspace) -> Array:
        """See ``Arrays``."""
        return workspace.take(prod(shape) * self.item_bytes).view(np.float32).reshape(tuple(shape))

    def new_map(self, shape: Sequence[int], workspace: Workspace, *, on_host: bool = False) -> Array:
        """See ``Arrays``."""
        if not self.channels_last:
            return self.new_picture(shape, workspace)
        n, c, h, w = shape
        return self.new_picture((n, h, w, c), workspace).transpose(0, 3, 1, 2)

    def is_dense(self, view: Array) -> bool:
        """See ``Arrays``."""
        return bool((view.transpose(0, 2, 3, 1) if self.channels_last else view).flags.c_contiguous)

    def give(self, x: Array, workspace: Workspace) -> None:
        """See ``Arrays``."""
        workspace.give(x.ctypes.data)


class HostTransfer:
    """Nothing is on its way: frames are computed where they are."""

    def upload(self, picture: NDArray[np.float32]) -> Array:
        """See ``Transfer``."""
        return picture[None]

    def write(self, y: Array, planes: Sequence[NDArray[np.float32]], over: Array | None = None) -> None:
        """See ``Transfer``."""
        for at, (channel, plane) in enumerate(zip(y, planes, strict=True)):
            np.clip(channel, 0, 1, out=plane)
            if over is not None:
                plane += over[at]
