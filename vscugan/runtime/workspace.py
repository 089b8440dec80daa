"""What a frame in flight uses again: host memory, whose fresh pages cost more time than a copy, and requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Where the widest vectors want memory to begin.
ALIGNMENT_BYTES = 64

type Buffer = NDArray[np.uint8]


class Workspace:
    """Belongs to one frame in flight at a time; not safe to share between threads.

    Its memory is bounded: what no frame has used for longest is freed until no more is left than the frame that used
    most has used. ``is_warm``: whether a whole frame was computed in it, so that the next one costs what it should.
    """

    def __init__(self) -> None:
        self.is_warm = False
        self._requests: dict[int, Any] = {}
        self._free: list[Buffer] = []  # what was used last comes last
        self._taken: dict[int, Buffer] = {}  # by address
        self._used: dict[int, int] = {}  # bytes of what this frame has used, by address
        self._most_bytes = 0  # that a frame has used

    @property
    def bytes(self) -> int:
        """Of all its memory."""
        return sum(b.size for b in (*self._free, *self._taken.values()))

    def take(self, size: int) -> Buffer:
        """``size`` bytes of host memory, uninitialised; ``give`` them back when they are not read any more."""
        fitting = [b for b in self._free if size <= b.size <= 2 * size]
        if fitting:
            buffer = min(fitting, key=len)
            self._free = [b for b in self._free if b is not buffer]
        else:
            buffer = _aligned(max(size, 1))
        address = buffer.ctypes.data
        self._taken[address] = buffer
        self._used[address] = buffer.size
        return buffer[:size]

    def give(self, address: int) -> None:
        """Take back what ``take`` handed out at this address; what it did not is let be."""
        buffer = self._taken.pop(address, None)
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
            excess -= self._free.pop(0).size

    def clear(self) -> None:
        """Free everything."""
        self._requests.clear()
        self._free.clear()
        self._taken.clear()
        self._used.clear()
        self._most_bytes = 0


def _aligned(size: int) -> Buffer:
    memory = np.empty(size + ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT_BYTES
    return memory[start : start + size]
