"""What a frame in flight uses again: host memory, whose fresh pages cost more time than a copy, and requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor


class Workspace:
    """Belongs to one frame in flight at a time; not safe to share between threads.

    Its memory is bounded: what no frame has used for longest is freed until no more is left than the frame that used
    most has used. ``is_warm``: whether a whole frame was computed in it, so that the next one costs what it should.
    """

    def __init__(self) -> None:
        self.is_warm = False
        self._requests: dict[int, Any] = {}
        self._free: list[Tensor] = []  # what was used last comes last
        self._taken: dict[int, Tensor] = {}  # by the address of the tensor that was handed out
        self._used: dict[int, int] = {}  # bytes of what this frame has used, by address
        self._most_bytes = 0  # that a frame has used

    @property
    def bytes(self) -> int:
        """Of all its memory."""
        return sum(b.numel() for b in (*self._free, *self._taken.values()))

    def take(
        self, shape: Sequence[int], dtype: torch.dtype, memory_format: torch.memory_format, device: torch.device
    ) -> Tensor:
        """An uninitialised (N, C, H, W) tensor; ``give`` it back when it is not read any more.

        Only host memory is kept: torch keeps that of other devices by itself.
        """
        if device.type != "cpu":
            return torch.empty(tuple(shape), dtype=dtype, device=device, memory_format=memory_format)
        need = prod(shape) * dtype.itemsize
        fitting = [b for b in self._free if need <= b.numel() <= 2 * need]
        if fitting:
            buffer = min(fitting, key=Tensor.numel)
            self._free = [b for b in self._free if b is not buffer]
        else:
            buffer = torch.empty(max(need, 1), dtype=torch.uint8)
        self._taken[buffer.data_ptr()] = buffer
        self._used[buffer.data_ptr()] = buffer.numel()
        flat = buffer[:need].view(dtype)
        if memory_format == torch.channels_last:
            n, c, h, w = shape
            return flat.view(n, h, w, c).permute(0, 3, 1, 2)
        return flat.view(tuple(shape))

    def give(self, x: Tensor) -> None:
        """Take back what ``take`` handed out; others' tensors are let be."""
        buffer = self._taken.pop(x.data_ptr(), None)
        if buffer is not None:
            self._free.append(buffer)

    def request[T](self, session: object, make: Callable[[], T]) -> T:
        """What a runtime's session keeps for each frame in flight, made when it is first asked for."""
        key = id(session)
        if key not in self._requests:
            self._requests[key] = make()
        found: T = self._requests[key]
        return found

    def give_all(self) -> None:
        """Take back everything that is out: the frame is done."""
        self._free += self._taken.values()
        self._taken.clear()
        self._most_bytes = max(self._most_bytes, sum(self._used.values()))
        self._used.clear()
        excess = self.bytes - self._most_bytes
        while excess > 0:
            excess -= self._free.pop(0).numel()

    def clear(self) -> None:
        """Free everything."""
        self._requests.clear()
        self._free.clear()
        self._taken.clear()
        self._used.clear()
        self._most_bytes = 0
