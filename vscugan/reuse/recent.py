"""A store of what was used last, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class Recent[K: Hashable, V]:
    """Keeps values until together they take more than ``limit`` bytes; what was used longest ago goes first.

    The value that was put last always stays. Not safe to share between threads.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.bytes = 0  #: of all values

    def get(self, key: K) -> V | None:
        """The value, which counts as used now, or None."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value of ``size`` bytes."""
        self.bytes += size - self._values.pop(key, (None, 0))[1]
        self._values[key] = (value, size)
        while self.bytes > self._limit and len(self._values) > 1:
            self.bytes -= self._values.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Drop everything."""
        self._values.clear()
        self.bytes = 0
