"""Frames of equal content are computed once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

import numpy as np
import xxhash
from numpy.typing import NDArray

from vscugan.reuse.lru_cache import LRUCache
from vscugan.reuse.mode import Target


def content_hash(values: NDArray[np.float32]) -> bytes:
    """128 bit of an array's shape and values, bit by bit."""
    state = xxhash.xxh3_128(str(values.shape).encode())
    state.update(np.ascontiguousarray(values).data)
    return bytes(state.digest())


class DeduplicationCache:
    """The results of the last frames, by the content of their sources. Safe to call from several threads.

    ``limit``: bytes of the results that are kept.
    """

    def __init__(self, limit: int) -> None:
        self._kept: LRUCache[Hashable, object] = LRUCache(limit)
        self._in_flight: dict[Hashable, threading.Event] = {}
        self._lock = threading.Lock()

    def once(self, key: Hashable, target: Target, make: Callable[[], object]) -> object:
        """Call ``make``, which writes the target, unless the content was made before or is just being made.

        Returns the frame that was made before, or None where ``make`` was called.
        Raises: what ``make`` raises, to its own caller alone; the next that waits calls its own.
        """
        while True:
            with self._lock:
                found = self._kept.get(key)
                if found is not None:
                    return found
                other = self._in_flight.get(key)
                if other is None:
                    mine = self._in_flight[key] = threading.Event()
                    break
            other.wait()  # where it failed, the first that wakes makes it
        try:
            make()
            with self._lock:
                self._kept.put(key, target.frame, sum(plane.nbytes for plane in target.planes))
        finally:
            with self._lock:
                del self._in_flight[key]
            mine.set()
        return None

    def clear(self) -> None:
        """Drop what is kept."""
        with self._lock:
            self._kept.clear()
