"""What frames have in common within a scene: gates, and with ``reuse=still`` all blocks that do not move."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from vscugan.engine import Engine, FrameGates
from vscugan.reuse.chain import Chain, Decision
from vscugan.reuse.contents import Contents, content_hash
from vscugan.reuse.mode import Answer, Counts, Mode, Source, Target
from vscugan.reuse.recent import Recent

#: Source frames that are asked for at once: the host holds all of them.
FRAMES_AT_ONCE = 8
#: Gates take about 1.5 kB a frame and pass.
GATES_BYTES = 16 << 20


class Chained(Mode):
    """Frames whose way of being computed follows from the frames before them."""

    reads_others = True

    def __init__(self, engine: Engine, chain: Chain) -> None:
        self._engine, self._chain = engine, chain
        self._lock = threading.Lock()  # for all that follows
        self._awaited: Counter[int] = Counter()
        self._sources: dict[int, Source] = {}  # of awaited frames
        self._gates: Recent[int, FrameGates] = Recent(GATES_BYTES)
        self._counts, self._counted = Counts(), set[int]()

    def begin(self, n: int) -> None:
        """See ``Mode``."""
        with self._lock:
            self._awaited[n] += 1

    def end(self, n: int) -> None:
        """See ``Mode``."""
        with self._lock:
            self._awaited[n] -= 1
            if self._awaited[n] <= 0:
                del self._awaited[n]
                self._forget(n)

    def _forget(self, n: int) -> None:
        """Nobody waits for frame ``n`` any more."""
        self._sources.pop(n, None)

    def compute(self, n: int, sources: Mapping[int, Source], target: Target) -> Answer:
        """See ``Mode``."""
        with self._lock:
            self._sources |= {k: source for k, source in sources.items() if k in self._awaited}
            here = {**sources, **self._sources}
            missing = self._decide(n, here)
            if missing:
                return missing
            decision = self._chain[n]
        answer = self._make(n, decision, here, target)
        with self._lock:
            if not isinstance(answer, list) and n not in self._counted:
                self._counted.add(n)
                self._counts.frames += 1
                self._counts.whole += answer is None and decision.base == n
                self._counts.computed += 1 - decision.reused if answer is None else 0
        return answer

    def _decide(self, n: int, here: Mapping[int, Source]) -> list[int]:
        """Go on to frame ``n``; returns the frames that must be read for it."""
        while (k := self._chain.next_undecided(n)) is not None:
            if k not in here:
                return [m for m in range(k, n + 1) if m not in here][:FRAMES_AT_ONCE]
            self._chain.add(k, here[k].picture, here[k].cut)
        return []

    @abstractmethod
    def _make(self, n: int, decision: Decision, here: Mapping[int, Source], target: Target) -> Answer:
        """Make a frame that is decided."""

    def _gates_of(self, n: int, here: Mapping[int, Source]) -> FrameGates | None:
        """The gates of frame ``n``; None where the frame must be read first."""
        with self._lock:
            found = self._gates.get(n)
        if found is None and n in here:
            found = self._engine.render(here[n].picture, n).gates
            self._keep_gates(n, found)
        return found

    def _keep_gates(self, n: int, gates: FrameGates) -> None:
        """For frames to come; ``gates`` may be empty, where they were not told."""
        if not gates:
            return
        with self._lock:
            self._gates.put(n, gates, sum(gate.nbytes for each in gates for gate in each))

    def told(self, n: int) -> dict[str, int | float]:
        """Share of the frame that was not computed, and the first frame of its segment."""
        with self._lock:
            decision = self._chain[n] if self._chain.next_undecided(n) is None else None
        return {} if decision is None else {"CuganReused": decision.reused, "CuganSegment": decision.segment}

    def close(self) -> str:
        """See ``Mode``."""
        return self._counts.words(self._engine.spent)


class HeldGates(Chained):
    """``gates=scene`` alone: every frame is computed whole, or where ``contents`` is given, every content."""

    def __init__(self, engine: Engine, chain: Chain, contents: Contents | None) -> None:
        super().__init__(engine, chain)
        self._contents = contents
        self._same = set[int]()

    def _make(self, n: int, decision: Decision, here: Mapping[int, Source], target: Target) -> Answer:
        own = decision.gates_of == n
        gates = None if own else self._gates_of(decision.gates_of, here)
        if gates is None and not own:
            return [decision.gates_of]
        picture = here[n].picture

        def make() -> None:
            used = self._engine.upscale(picture, target.planes, n, gates, with_gates=own and self._engine.tells_gates)
            if own:
                self._keep_gates(n, used)

        if self._contents is None:
            make()
            return None
        # with its own gates given to it a frame is not quite, bit by bit, what it is when it makes them
        key = (content_hash(picture), decision.gates_of, own)
        same = self._contents.once(key, target, make)
        if same is not None:
            with self._lock:
                self._same.add(n)
        return same

    def told(self, n: int) -> dict[str, int | float]:
        """As every chained frame; one that was made of another's content was not computed at all."""
        told = super().told(n)
        return told | {"CuganReused": 1.0} if n in self._same else told

    def close(self) -> str:
        """See ``Mode``."""
        if self._contents is not None:
            self._contents.clear()
        return super().close()


@dataclass(kw_only=True)
class _Canvas:
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
        self._canvases: Recent[int, _Canvas] = Recent(limit)
        self._passed: dict[int, Tensor] = {}  # awaited frames that another one's way led through

    def _forget(self, n: int) -> None:
        super()._forget(n)
        self._passed.pop(n, None)

    def _make(self, n: int, decision: Decision, here: Mapping[int, Source], target: Target) -> Answer:
        with self._lock:
            canvas = self._canvases.get(decision.base)
            if canvas is None:
                canvas = _Canvas()
                self._canvases.put(decision.base, canvas, 0)
        with canvas.lock:  # whoever holds it has all that it needs to go on
            with self._lock:
                here = {**here, **self._sources}
                passed = self._passed.get(n)
            if passed is not None:
                self._engine.show(passed, here[n].picture, target.planes, n)
                return None
            missing = self._advance(canvas, n, decision, here)
            if missing:
                return missing
            assert canvas.pictures is not None
            self._engine.show(canvas.pictures[-1], here[n].picture, target.planes, n)
        return None

    def _advance(self, canvas: _Canvas, n: int, decision: Decision, here: Mapping[int, Source]) -> list[int]:
        """Bring the canvas to frame ``n`` as far as the sources reach; returns those to read first."""
        base, giver = decision.base, decision.gates_of
        with self._lock:
            needed = [k for k in range(base + 1, n + 1) if self._chain[k].areas]
            passing = self._chain[base].passing
        if canvas.pictures is None or canvas.at > n:
            gates = None if giver == base else self._gates_of(giver, here)
            if base not in here or (gates is None and giver != base):
                return [k for k in dict.fromkeys((giver, base, *needed)) if k not in here][:FRAMES_AT_ONCE]
            told = giver == base and not passing and self._engine.tells_gates
            rendered = self._engine.render(here[base].picture, base, gates, with_gates=told)
            canvas.pictures, canvas.at = rendered.pictures, base
            self._keep_gates(base, rendered.gates)
            with self._lock:
                self._canvases.put(base, canvas, sum(p.nbytes for p in canvas.pictures))
        for k in range(canvas.at + 1, n + 1):
            self._keep_passed(canvas)
            with self._lock:
                areas = self._chain[k].areas
            if areas:
                gates = self._gates_of(giver, here)
                if k not in here or gates is None:
                    left = [*([] if gates else [giver]), *(m for m in needed if m >= k)]
                    return [m for m in left if m not in here][:FRAMES_AT_ONCE]
                pictures, canvas.pictures = canvas.pictures, None  # half painted, if it fails
                assert pictures is not None
                self._engine.repaint(pictures, here[k].picture, areas, gates, k)
                canvas.pictures = pictures
            canvas.at = k
        return []

    def _keep_passed(self, canvas: _Canvas) -> None:
        """Keep the canvas's picture for those who wait for it, before it changes."""
        assert canvas.pictures is not None
        with self._lock:
            if canvas.at in self._awaited and canvas.at not in self._passed:
                self._passed[canvas.at] = canvas.pictures[-1].clone()

    def close(self) -> str:
        """See ``Mode``."""
        with self._lock:
            self._canvases.clear()
            self._passed.clear()
        return super().close()
