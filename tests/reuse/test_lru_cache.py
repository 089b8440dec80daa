"""The LRU cache keeps to its bytes."""

from __future__ import annotations

from vscugan.reuse.lru_cache import LRUCache


def test_an_lru_cache_keeps_to_its_bytes() -> None:
    cache: LRUCache[int, str] = LRUCache(100)
    for n in range(50):
        cache.put(n, "x", 30)
        assert cache.bytes <= 100
    assert cache.get(46) is None
    assert cache.get(47) == "x"  # now used last
    cache.put(50, "y", 30)
    assert cache.get(47) == "x"
    cache.put(51, "large", 1000)
    assert cache.get(51) == "large"
    assert cache.bytes == 1000
    assert cache.pop(51) == "large"
    assert cache.pop(51) is None
    assert cache.bytes == 0


def test_what_is_pinned_is_not_dropped() -> None:
    pinned = {0, 3}
    cache: LRUCache[int, str] = LRUCache(60, pinned.__contains__)
    for n in range(6):
        cache.put(n, "x", 30)
    assert [n for n in range(6) if cache.get(n)] == [0, 3, 5]
    pinned.clear()
    cache.trim()
    assert [n for n in range(6) if cache.get(n)] == [3, 5]
