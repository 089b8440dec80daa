"""``reuse=off`` and ``exact``: each frame by itself, whole."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial

from vscugan.engine.engine import Engine
from vscugan.reuse.deduplication_cache import DeduplicationCache, content_hash
from vscugan.reuse.mode import Answer, Counts, Mode, SourceFrame, Target


class EachFrame(Mode):
    """Every frame is computed, or where ``deduplication`` is given, every content."""

    def __init__(self, engine: Engine, deduplication: DeduplicationCache | None) -> None:
        self._engine, self._deduplication = engine, deduplication
        self._counts, self._lock = Counts(), threading.Lock()

    def compute(
        self, n: int, sources: Mapping[int, SourceFrame], target: Target, unreadable: Mapping[int, str]
    ) -> Answer:
        """See ``Mode``."""
        rgb = sources[n].rgb
        make = partial(self._engine.upscale, rgb, target.planes, n)
        if self._deduplication is None:
            make()
            return None, {}
        same = self._deduplication.once(content_hash(rgb), target, make)
        with self._lock:
            self._counts.frames += 1
            self._counts.whole += same is None
            self._counts.computed += same is None
        return same, {"CuganReused": float(same is not None)}

    def close(self) -> str:
        """See ``Mode``."""
        if self._deduplication is not None:
            self._deduplication.clear()
        return self._counts.summary(self._engine.spent)
