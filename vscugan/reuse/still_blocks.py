"""``reuse=still``: of each frame only the areas are computed that have changed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vscugan.engine.engine import Engine
from vscugan.reuse.decisions import Decision, Decisions
from vscugan.reuse.dependent_frames import DependentFrames
from vscugan.reuse.lru_cache import LRUCache
from vscugan.reuse.mode import SourceFrame, Target


@dataclass(kw_only=True)
class _Accumulator:
    """A frame that was computed whole, and what has become of it by the frames after it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: int = -1  #: the frame that it shows, -1 = none yet
    results: list[NDArray[np.float32]] | None = None  #: of each pass; None where they must be computed anew


class StillBlocks(DependentFrames):
    """Each base has an accumulator, which goes on from frame to frame.

    Where frames 5 and 7 are awaited and 7 comes first, its way leads through 5, whose result is kept as overtaken. For
    each awaited frame at most one source frame, one overtaken result and one accumulator are held.
    ``limit``: bytes of the accumulators that are kept, beside those of awaited frames.
    """

    def __init__(self, engine: Engine, decisions: Decisions, limit: int) -> None:
        super().__init__(engine, decisions)
        unfinished: dict[int, int] = {}  # awaited frames that are on their way -> their bases
        self._unfinished = unfinished
        # no reference to self: what the mode holds must go with it, not when Python collects cycles
        self._accumulators: LRUCache[int, _Accumulator] = LRUCache(limit, lambda k: k in unfinished.values())
        self._overtaken: dict[int, NDArray[np.float32]] = {}  # results of awaited frames

    def _forget(self, n: int) -> None:
        super()._forget(n)
        self._overtaken.pop(n, None)
        if self._unfinished.pop(n, None) is not None:
            self._accumulators.trim()

    def _make(
        self, n: int, decisions: Mapping[int, Decision], readable: Mapping[int, SourceFrame], target: Target
    ) -> tuple[list[int], object]:
        base = decisions[n].base
        with self._lock:
            accumulator = self._accumulators.get(base)
            if accumulator is None:
                accumulator = _Accumulator()
                self._accumulators.put(base, accumulator, 0)
        with accumulator.lock:
            with self._lock:
                readable = {**readable, **self._sources}  # others were read while this frame waited for the lock
                result = self._overtaken.get(n)
            if result is None:
                missing = self._advance(accumulator, n, decisions, readable)
                if missing:
                    with self._lock:
                        self._unfinished[n] = base
                    return missing, None
                assert accumulator.results is not None
                result = accumulator.results[-1]
            self._engine.show(result, readable[n].rgb, target.planes, n)
        return [], None

    def _advance(
        self, accumulator: _Accumulator, n: int, decisions: Mapping[int, Decision], readable: Mapping[int, SourceFrame]
    ) -> list[int]:
        """Bring the accumulator to frame ``n`` as far as the sources reach; returns those to read first."""
        gate_source = decisions[n].gate_source
        changed = [k for k, decision in decisions.items() if decision.areas]
        if accumulator.results is None or accumulator.at > n:
            missing = self._render_base(accumulator, decisions[decisions[n].base], readable)
            if missing:
                return [k for k in (*missing, *changed) if k not in readable]
        for k in range(accumulator.at + 1, n + 1):
            self._keep_overtaken(accumulator)
            if decisions[k].areas:
                gates = self._gates_of(gate_source, readable)
                if k not in readable or gates is None:
                    first = [gate_source] if gates is None else []
                    return [m for m in (*first, *(c for c in changed if c >= k)) if m not in readable]
                results, accumulator.results = accumulator.results, None  # half painted, if it fails
                assert results is not None
                self._engine.repaint(results, readable[k].rgb, decisions[k].areas, gates, k)
                accumulator.results = results
            accumulator.at = k
        return []

    def _render_base(
        self, accumulator: _Accumulator, decision: Decision, readable: Mapping[int, SourceFrame]
    ) -> list[int]:
        """Compute the accumulator's base whole; returns the frames to read first."""
        base, own = decision.base, decision.gate_source == decision.base
        gates = None if own else self._gates_of(decision.gate_source, readable)
        lacks_gates = gates is None and not own
        if lacks_gates or base not in readable:
            return [decision.gate_source, base] if lacks_gates else [base]
        # an uncompared frame is hardly ever gone on from; where it is, its gates are computed after all
        with_gates = own and not decision.uncompared and self._engine.returns_gates
        accumulator.results, used = self._engine.render(readable[base].rgb, base, gates, with_gates=with_gates)
        accumulator.at = base
        self._keep_gates(base, used)
        with self._lock:
            self._accumulators.put(base, accumulator, sum(result.nbytes for result in accumulator.results))
        return []

    def _keep_overtaken(self, accumulator: _Accumulator) -> None:
        """Keep the accumulator's result for those who wait for its frame, before it changes."""
        assert accumulator.results is not None
        with self._lock:
            if self._decisions.is_awaited(accumulator.at) and accumulator.at not in self._overtaken:
                self._overtaken[accumulator.at] = accumulator.results[-1].copy()

    def close(self) -> str:
        """See ``Mode``."""
        with self._lock:
            self._accumulators.clear()
            self._overtaken.clear()
            self._unfinished.clear()
        return super().close()
