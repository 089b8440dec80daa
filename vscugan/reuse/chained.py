"""What frames have in common within a scene: gates, and with ``reuse=still`` all blocks that do not move."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from vscugan.engine.engine import Engine, FrameGates
from vscugan.errors import FrameError
from vscugan.reuse.chain import Chain, Decision
from vscugan.reuse.contents import Contents, content_hash
from vscugan.reuse.lru_cache import LRUCache
from vscugan.reuse.mode import NONE_UNREADABLE, Answer, Counts, Mode, Source, Target

#: Source frames that one frame asks for at once: the host holds all of them.
FRAMES_AT_ONCE = 8
#: And all that are waited for together, as long as each may ask for one.
ALL_FRAMES_AT_ONCE = 64
#: Gates take about 1.5 kB a frame and pass.
GATES_BYTES = 16 << 20

#: The frames that must be read first, none where the frame is made; and the earlier frame that it is equal to, or None.
Made = tuple[list[int], object]


class Chained(Mode):
    """Frames whose way of being computed follows from the frames before them."""

    reads_others = True

    def __init__(self, engine: Engine, chain: Chain) -> None:
        self._engine, self._chain = engine, chain
        self._lock = threading.Lock()  # for all that follows, and the chain
        self._sources: dict[int, Source] = {}  # of awaited frames
        self._gates: LRUCache[int, FrameGates] = LRUCache(GATES_BYTES)
        self._counts = Counts()

    def begin(self, n: int) -> None:
        """See ``Mode``."""
        with self._lock:
            self._chain.begin(n)

    def end(self, n: int) -> None:
        """See ``Mode``."""
        with self._lock:
            self._chain.end(n)
            if not self._chain.is_awaited(n):
                self._forget(n)

    def _forget(self, n: int) -> None:
        """Nobody waits for frame ``n`` any more."""
        self._sources.pop(n, None)

    def compute(
        self, n: int, sources: Mapping[int, Source], target: Target, unreadable: Mapping[int, str] = NONE_UNREADABLE
    ) -> Answer:
        """See ``Mode``."""
        with self._lock:
            self._sources |= {k: source for k, source in sources.items() if self._chain.is_awaited(k)}
            here = {**sources, **self._sources}
            missing = self._decide(n, here, unreadable)
            if missing:
                return self._first(missing)
            decision = self._chain[n]
        missing, same = self._make(n, decision, here, target)
        if missing:
            for k in missing:
                if k in unreadable:
                    with self._lock:
                        self._chain.forget(n)
                    raise FrameError(
                        f"frame {k} must stay readable for frame {n}, got {unreadable[k]}; ask for frame {n} again"
                    )
            with self._lock:
                return self._first(missing)
        reused = decision.reused if same is None else 1.0  # another content's frame was not computed at all
        with self._lock:
            self._counts.frames += 1
            self._counts.whole += same is None and decision.base == n
            self._counts.computed += 1 - reused
        return same, {"CuganReused": reused, "CuganSegment": decision.segment}

    def _first(self, missing: Sequence[int]) -> list[int]:
        """Those that are asked for now: the more frames are waited for, the fewer by each."""
        return list(missing[: max(1, min(FRAMES_AT_ONCE, ALL_FRAMES_AT_ONCE // max(1, self._chain.awaited)))])

    def _decide(self, n: int, here: Mapping[int, Source], unreadable: Mapping[int, str]) -> list[int]:
        """Go on to frame ``n``; returns the frames that must be read for it."""
        while (k := self._chain.next_undecided(n)) is not None:
            if k in here:
                self._chain.add(k, here[k].picture, here[k].cut)
            elif k in unreadable:
                self._chain.add(k, None)
            else:
                return [m for m in range(k, n + 1) if m not in here and m not in unreadable]
        return []

    @abstractmethod
    def _make(self, n: int, decision: Decision, here: Mapping[int, Source], target: Target) -> Made:
        """Make a frame that is decided."""

    def _gates_of(self, n: int, here: Mapping[int, Source]) -> FrameGates | None:
        """The gates of frame ``n``; None where the frame must be read first."""
        with self._lock:
            found = self._gates.get(n)
        if found is None and n in here:
            found = self._engine.render(here[n].picture, n)[1]
            self._keep_gates(n, found)
        return found

    def _keep_gates(self, n: int, gates: FrameGates) -> None:
        """For frames to come; ``gates`` may be empty, where they were not asked for."""
        if not gates:
            return
        with self._lock:
            self._gates.put(n, gates, sum(gate.nbytes for each in gates for gate in each))

    def close(self) -> str:
        """See ``Mode``."""
        return self._counts.words(self._engine.spent)


class HeldGates(Chained):
    """``gates=scene`` alone: every frame is computed whole, or where ``contents`` is given, every content."""

    def __init__(self, engine: Engine, chain: Chain, contents: Contents | None) -> None:
        super().__init__(engine, chain)
        self._contents = contents

    def _make(self, n: int, decision: Decision, here: Mapping[int, Source], target: Target) -> Made:
        own = decision.gates_of == n
        gates = None if own else self._gates_of(decision.gates_of, here)
        if gates is None and not own:
            return [decision.gates_of], None
        picture = here[n].picture

        def make() -> None:
            used = self._engine.upscale(picture, target.planes, n, gates, with_gates=own and self._engine.returns_gates)
            if own:
                self._keep_gates(n, used)

        if self._contents is None:
            make()
            return [], None
        # with its own gates given to it a frame is not quite, bit by bit, what it is when it makes them
        key = (content_hash(picture), decision.gates_of, own)
        return [], self._contents.once(key, target, make)

    def close(self) -> str:
        """See ``Mode``."""
        if self._contents is not None:
            self._contents.clear()
        return super().close()


@dataclass(kw_only=True)
class _Accumulator:
    """A frame that was computed whole, and what has become of it by the frames after it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: int = -1  #: the frame that it shows, -1 = none yet
    pictures: list[Tensor] | None = None  #: of each pass; None where they must be computed anew


class StillBlocks(Chained):
    """``reuse=still``: of each frame only the areas that changed since they were last computed.

    ``limit``: bytes of the pictures that are kept to go on from, beside those of the frames that are waited for.
    """

    def __init__(self, engine: Engine, chain: Chain, limit: int) -> None:
        super().__init__(engine, chain)
        unfinished: dict[int, int] = {}  # awaited frames that are on their way -> their bases
        self._unfinished = unfinished
        # no reference to self: what the mode holds must go with it, not when Python collects cycles
        self._accumulators: LRUCache[int, _Accumulator] = LRUCache(limit, lambda k: k in unfinished.values())
        self._passed: dict[int, Tensor] = {}  # awaited frames that another one's way led through

    def _forget(self, n: int) -> None:
        super()._forget(n)
        self._passed.pop(n, None)
        if self._unfinished.pop(n, None) is not None:
            self._accumulators.trim()

    def _make(self, n: int, decision: Decision, here: Mapping[int, Source], target: Target) -> Made:
        with self._lock:
            accumulator = self._accumulators.get(decision.base)
            if accumulator is None:
                accumulator = _Accumulator()
                self._accumulators.put(decision.base, accumulator, 0)
        with accumulator.lock:  # whoever holds it has all that it needs to go on
            with self._lock:
                here = {**here, **self._sources}
                passed = self._passed.get(n)
            if passed is not None:
                self._engine.show(passed, here[n].picture, target.planes, n)
                return [], None
            missing = self._advance(accumulator, n, decision, here)
            if missing:
                with self._lock:
                    self._unfinished[n] = decision.base
                return missing, None
            assert accumulator.pictures is not None
            self._engine.show(accumulator.pictures[-1], here[n].picture, target.planes, n)
        return [], None

    def _advance(self, accumulator: _Accumulator, n: int, decision: Decision, here: Mapping[int, Source]) -> list[int]:
        """Bring the accumulator to frame ``n`` as far as the sources reach; returns those to read first."""
        base, gate_source = decision.base, decision.gates_of
        with self._lock:
            needed = [k for k in range(base + 1, n + 1) if self._chain[k].areas]
            uncompared = self._chain[base].uncompared
        if accumulator.pictures is None or accumulator.at > n:
            gates = None if gate_source == base else self._gates_of(gate_source, here)
            if base not in here or (gates is None and gate_source != base):
                first = (base,) if gates is not None or gate_source == base else (gate_source, base)
                return [k for k in (*first, *needed) if k not in here]
            with_gates = gate_source == base and not uncompared and self._engine.returns_gates
            pictures, kept = self._engine.render(here[base].picture, base, gates, with_gates=with_gates)
            accumulator.pictures, accumulator.at = pictures, base
            self._keep_gates(base, kept)
            with self._lock:
                self._accumulators.put(base, accumulator, sum(p.nbytes for p in accumulator.pictures))
        for k in range(accumulator.at + 1, n + 1):
            self._keep_passed(accumulator)
            with self._lock:
                areas = self._chain[k].areas
            if areas:
                gates = self._gates_of(gate_source, here)
                if k not in here or gates is None:
                    left = [*([] if gates else [gate_source]), *(m for m in needed if m >= k)]
                    return [m for m in left if m not in here]
                pictures, accumulator.pictures = accumulator.pictures, None  # half painted, if it fails
                assert pictures is not None
                self._engine.repaint(pictures, here[k].picture, areas, gates, k)
                accumulator.pictures = pictures
            accumulator.at = k
        return []

    def _keep_passed(self, accumulator: _Accumulator) -> None:
        """Keep the accumulator's picture for those who wait for it, before it changes."""
        assert accumulator.pictures is not None
        with self._lock:
            if self._chain.is_awaited(accumulator.at) and accumulator.at not in self._passed:
                self._passed[accumulator.at] = accumulator.pictures[-1].clone()

    def close(self) -> str:
        """See ``Mode``."""
        with self._lock:
            self._accumulators.clear()
            self._passed.clear()
            self._unfinished.clear()
        return super().close()
