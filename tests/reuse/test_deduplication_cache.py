"""Each content is computed once, whatever fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vscugan.reuse.deduplication_cache import DeduplicationCache, content_hash
from vscugan.reuse.mode import Target


def test_one_computation_in_flight_and_a_failure_is_no_ones_result() -> None:
    cache, started, running = DeduplicationCache(1 << 30), threading.Event(), []
    target = Target(planes=[np.zeros((4, 4), np.float32)], frame="frame")

    def fails() -> None:
        running.append(1)
        started.wait(5)
        raise ValueError

    def works() -> None:
        running.append(2)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.once, b"key", target, fails)
        while not running:
            pass
        second = pool.submit(cache.once, b"key", target, works)
        started.set()
        with pytest.raises(ValueError):
            first.result()
        assert second.result() is None
    assert running == [1, 2]
    assert cache.once(b"key", target, fails) == "frame"


def test_a_hash_knows_every_bit_and_the_shape() -> None:
    x = np.zeros((3, 8, 8), np.float32)
    negative = x.copy()
    negative[1, 2, 3] = -0.0
    hashes = {content_hash(p) for p in (x, negative, x.reshape(3, 4, 16), x + np.float32(1e-38))}
    assert len(hashes) == 4
    assert content_hash(np.asfortranarray(x)) == content_hash(x)
