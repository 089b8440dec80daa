"""Memory for ncnn's blobs on a CPU: one block, which frames use again.

ncnn's own pools keep a piece for each size that they have seen, more than twice of what is in use at once. Fresh memory
for each blob would be cleared by the system each time.
"""

from __future__ import annotations

import ctypes
import importlib
import threading
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: ncnn's own: where its vectors want memory to begin, and how far they may read beyond the end
ALIGNMENT_BYTES = OVERREAD_BYTES = 64

# the binding hands addresses to Python in capsules
_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype, _capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_address = ctypes.pythonapi.PyCapsule_GetPointer
_address.restype, _address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


class Layout:
    """Where pieces lie in a block, each in the smallest gap that holds it; ``size``: what they have needed so far."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: dict[int, int] = {}  # sizes by place

    def take(self, size: int) -> int:
        """A place for a piece."""
        gaps, end = [], 0
        for at, piece in sorted(self._pieces.items()):
            if at - end >= size:
                gaps.append((at - end, end))
            end = at + piece
        at = min(gaps)[1] if gaps else end
        self._pieces[at] = size
        self.size = max(self.size, at + size)
        return at

    def give(self, at: int) -> None:
        """The piece at this place is free."""
        del self._pieces[at]

    @property
    def is_empty(self) -> bool:
        """Whether there is no piece."""
        return not self._pieces


class _Block:
    """Bytes that begin where ncnn wants it. Raises: MemoryError."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._bytes: NDArray[np.uint8] = np.empty(size + ALIGNMENT_BYTES, np.uint8)
        self.address = self._bytes.ctypes.data + -self._bytes.ctypes.data % ALIGNMENT_BYTES


class Memory:
    """Pieces of memory, one block as soon as a frame has shown how large it must be; before, each is its own.

    Not safe to share between threads.
    """

    def __init__(self) -> None:
        self._layout, self._block = Layout(), _Block(0)
        self._taken: dict[int, tuple[int, _Block | None]] = {}  # by address: the place, and what lies beside the block

    def take(self, size: int) -> int | None:
        """The address of ``size`` bytes, None where there are none."""
        try:
            return self._take(-(-(size + OVERREAD_BYTES) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES)
        except MemoryError:
            return None

    def _take(self, size: int) -> int:
        if self._layout.is_empty and self._layout.size > self._block.size:
            self._block = _Block(0)  # not both at once
            self._block = _Block(self._layout.size)
        at = self._layout.take(size)
        beside = None
        if at + size > self._block.size:
            try:
                beside = _Block(size)
            except MemoryError:
                self._layout.give(at)
                raise
        address = self._block.address + at if beside is None else beside.address
        self._taken[address] = (at, beside)
        return address

    def give(self, address: int) -> None:
        """Take back what ``take`` has returned."""
        at, _ = self._taken.pop(address)
        self._layout.give(at)

    @property
    def is_empty(self) -> bool:
        """Whether all was given back."""
        return self._layout.is_empty


@cache
def allocator_class() -> Any:
    """A class of ncnn's allocators, each with a ``Memory`` of its own. Blobs may be freed by any thread."""
    in_use: set[object] = set()  # blobs do not keep their allocator alive

    class Allocator(importlib.import_module("ncnn").PoolAllocator):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._memory = Memory()
            self._lock = threading.RLock()  # the garbage collector may free a blob while another one is made

        def fastMalloc(self, size: int) -> object:
            with self._lock:
                address = self._memory.take(size)
                if address is None:
                    return None
                in_use.add(self)
            return _capsule(address, None, None)

        def fastFree(self, piece: object) -> None:
            with self._lock:
                self._memory.give(_address(piece, None))
                if self._memory.is_empty:
                    in_use.discard(self)

    return Allocator
