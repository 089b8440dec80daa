"""Frames that depend on the frames before them: these decide what is computed, and give the gates."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence

from vscugan.engine.engine import Engine, FrameGates
from vscugan.errors import FrameError
from vscugan.reuse.decisions import Decision, Decisions
from vscugan.reuse.lru_cache import LRUCache
from vscugan.reuse.mode import Answer, Counts, Mode, SourceFrame, Target

#: Source frames that one frame asks for at once: the host holds all of them.
FRAMES_AT_ONCE = 8
#: And all that are waited for together, as long as each may ask for one.
ALL_FRAMES_AT_ONCE = 64
#: Gates take about 1.5 kB a frame and pass; an entry takes some bytes even where a network has none.
GATES_BYTES, ENTRY_BYTES = 16 << 20, 300


class DependentFrames(Mode):
    """Decides a frame, and leaves making it to the subclass; ``decisions`` are this mode's alone."""

    reads_others = True

    def __init__(self, engine: Engine, decisions: Decisions) -> None:
        self._engine, self._decisions = engine, decisions
        self._lock = threading.Lock()  # for all that follows, and the decisions
        self._sources: dict[int, SourceFrame] = {}  # of awaited frames
        self._gates: LRUCache[int, FrameGates] = LRUCache(GATES_BYTES)
        self._counts = Counts()

    def begin(self, n: int) -> None:
        """See ``Mode``."""
        with self._lock:
            self._decisions.begin(n)

    def end(self, n: int) -> None:
        """See ``Mode``."""
        with self._lock:
            self._decisions.end(n)
            if not self._decisions.is_awaited(n):
                self._forget(n)

    def _forget(self, n: int) -> None:
        """Nobody waits for frame ``n`` any more; called with the lock."""
        self._sources.pop(n, None)

    def compute(
        self, n: int, sources: Mapping[int, SourceFrame], target: Target, unreadable: Mapping[int, str]
    ) -> Answer:
        """See ``Mode``."""
        with self._lock:
            self._sources |= {k: source for k, source in sources.items() if self._decisions.is_awaited(k)}
            readable = {**sources, **self._sources}
            missing = self._decide(n, readable, unreadable)
            if missing:
                return self._first(missing)
            decisions = self._decisions.from_base(n)
        missing, same = self._make(n, decisions, readable, target)
        if missing:
            with self._lock:
                self._refuse_lost(n, missing, unreadable)
                return self._first(missing)
        decision = decisions[n]
        reused = decision.reused if same is None else 1.0  # another content's frame was not computed at all
        with self._lock:
            self._counts.frames += 1
            self._counts.whole += same is None and decision.base == n
            self._counts.computed += 1 - reused
        return same, {"CuganReused": reused, "CuganSegment": decision.segment}

    def _first(self, missing: Sequence[int]) -> list[int]:
        """Those that are asked for now: the more frames are waited for, the fewer by each."""
        return list(missing[: max(1, min(FRAMES_AT_ONCE, ALL_FRAMES_AT_ONCE // max(1, self._decisions.awaited)))])

    def _decide(self, n: int, readable: Mapping[int, SourceFrame], unreadable: Mapping[int, str]) -> list[int]:
        """Go on to frame ``n``; returns the frames that must be read for it."""
        while (k := self._decisions.next_undecided(n)) is not None:
            if k in readable:
                self._decisions.add(k, readable[k].rgb, readable[k].cut)
            elif k in unreadable:
                self._decisions.add(k, None)
            else:
                return [m for m in range(k, n + 1) if m not in readable and m not in unreadable]
        return []

    def _refuse_lost(self, n: int, needed: Sequence[int], unreadable: Mapping[int, str]) -> None:
        """Raise FrameError where a frame that was decided by its source has lost it since."""
        for k in needed:
            if k in unreadable:
                self._decisions.forget(n)
                raise FrameError(
                    f"frame {k} must stay readable for frame {n}, got {unreadable[k]}; ask for frame {n} again"
                )

    @abstractmethod
    def _make(
        self, n: int, decisions: Mapping[int, Decision], readable: Mapping[int, SourceFrame], target: Target
    ) -> tuple[list[int], object]:
        """Make frame ``n``; ``decisions``: on the frames from its base to itself.

        Returns the frames that must be read first, none where it is made, and the earlier ``Target.frame`` whose planes
        are the result, None where the target was written.
        """

    def _gates_of(self, n: int, readable: Mapping[int, SourceFrame]) -> FrameGates | None:
        """The gates of frame ``n``; None where the frame must be read first."""
        with self._lock:
            gates = self._gates.get(n)
        if gates is None and n in readable:
            _, gates = self._engine.render(readable[n].rgb, n)
            self._keep_gates(n, gates)
        return gates

    def _keep_gates(self, n: int, gates: FrameGates) -> None:
        """For frames to come; ``gates`` may be empty, where they were not asked for."""
        if not gates:
            return
        with self._lock:
            self._gates.put(n, gates, ENTRY_BYTES + sum(gate.nbytes for each in gates for gate in each))

    def close(self) -> str:
        """See ``Mode``."""
        return self._counts.summary(self._engine.spent)
