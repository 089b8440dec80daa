"""``reuse=off`` and ``exact``: each frame by itself, whole."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial

from vscugan.engine.engine import Engine
from vscugan.reuse.contents import Contents, content_hash
from vscugan.reuse.mode import NONE_UNREADABLE, Answer, Counts, Mode, Source, Target


class EachFrame(Mode):
    """Every frame is computed, or where ``contents`` is given, every content."""

    def __init__(self, engine: Engine, contents: Contents | None) -> None:
        self._engine, self._contents = engine, contents
        self._counts, self._lock = Counts(), threading.Lock()

    def compute(
        self, n: int, sources: Mapping[int, Source], target: Target, unreadable: Mapping[int, str] = NONE_UNREADABLE
    ) -> Answer:
        """See ``Mode``."""
        picture = sources[n].picture
        make = partial(self._engine.upscale, picture, target.planes, n)
        if self._contents is None:
            make()
            return None, {}
        same = self._contents.once(content_hash(picture), target, make)
        with self._lock:
            self._counts.frames += 1
            self._counts.whole += same is None
            self._counts.computed += same is None
        return same, {"CuganReused": float(same is not None)}

    def close(self) -> str:
        """See ``Mode``."""
        if self._contents is not None:
            self._contents.clear()
        return self._counts.words(self._engine.spent)
