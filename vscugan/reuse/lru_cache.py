"""An LRU cache, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import islice


class LRUCache[K: Hashable, V]:
    """Keeps values until together they take more than ``limit`` bytes; what was used longest ago goes first.

    The value that was put last always stays, and so does each whose key ``is_pinned``. Not safe to share between
    threads.
    """

    def __init__(self, limit: int, is_pinned: Callable[[K], bool] = lambda key: False) -> None:
        self._limit, self._is_pinned = limit, is_pinned
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.bytes = 0  #: of all values

    def __len__(self) -> int:
        return len(self._values)

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
        self.trim()

    def pop(self, key: K) -> V | None:
        """The value, which is not kept any more, or None."""
        value, size = self._values.pop(key, (None, 0))
        self.bytes -= size
        return value

    def trim(self) -> None:
        """Drop what is beyond the limit; to be called when keys are not pinned any more."""
        while self.bytes > self._limit:
            older = islice(self._values, len(self._values) - 1)
            key = next((k for k in older if not self._is_pinned(k)), None)
            if key is None:
                return
            self.bytes -= self._values.pop(key)[1]

    def clear(self) -> None:
        """Drop everything."""
        self._values.clear()
        self.bytes = 0
