"""What of each frame is computed, and with whose gates: decided by the source frames alone.

Segments begin on a fixed grid, and at scene cuts; four segments of the grid are an epoch. Within an epoch each frame's
decision follows from the one before, so it is a pure function of the epoch's frames up to this one: whoever asks, in
whatever order, gets the same. After a frame that can't be read everything starts anew. The network's results play no
part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vscugan.reuse.areas import BorderCost, areas_to_compute
from vscugan.reuse.changes import changed, differences
from vscugan.reuse.lru_cache import LRUCache
from vscugan.tiling.geometry import Rectangle

#: Segments whose frames may depend on each other; at an epoch's start the gates are taken anew.
EPOCH_SEGMENTS = 4
#: Rectangles that cost more than this share of the whole frame give way to it.
MOST_OF_WHOLE = 0.8
#: Gates age with the frame's mean difference to the one that gave them. With a difference of 2 codes a frame has 60 dB
#: to itself with its own gates, with 0.3 codes 79 dB.
DRIFTED_CODES = 2.0
#: After so many frames in a row of which too much has changed, the rest of the segment is not compared.
GIVE_UP_AFTER = 8
#: Where no prop says so, a scene begins with a frame whose mean cell differs by more codes than this.
CUT_CODES = 24
#: Bytes of the frames that are kept to go on from, beside those of awaited epochs: at most two frames an epoch.
STATES_BYTES = 256 << 20
#: Bytes of the decisions that are kept, beside those of awaited epochs.
DECISIONS_BYTES = 64 << 20
#: What a decision takes in a dict, and each of its rectangles: counted with tracemalloc.
DECISION_BYTES, RECTANGLE_BYTES = 300, 380


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """How a frame is computed."""

    segment: int  #: the first frame of its segment
    base: int  #: the last frame, at most this one, that is computed whole
    gate_source: int  #: the frame whose gates are used
    areas: tuple[Rectangle, ...] = ()  #: what changes from the frame before to this one, where it is not the base
    reused: float = 0.0  #: share of the frame's pixels that were not computed
    uncompared: bool = False  #: not compared with the frame before: hardly one after it takes its gates

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return DECISION_BYTES + RECTANGLE_BYTES * len(self.areas)


@dataclass(kw_only=True)
class _ChainState:
    """The last frame of an epoch that was decided, and what the next one is compared with."""

    n: int
    decision: Decision
    reference: NDArray[np.float32]  #: (3, H, W) the source that each pixel was last computed from
    gate_frame: NDArray[np.float32]  #: (3, H, W) the source frame whose gates are used
    whole_in_a_row: int = 0
    owns_reference: bool = False  #: else it is a source frame, which nobody writes to

    @property
    def bytes(self) -> int:
        """Of the frames that it holds."""
        return self.reference.nbytes + (0 if self.gate_frame is self.reference else self.gate_frame.nbytes)


@dataclass(frozen=True, kw_only=True)
class _Unreadable:
    """In place of a state: the last frame that was decided could not be read, so the next one starts anew."""

    n: int
    bytes = 0

    @property
    def decision(self) -> Decision:
        """As if it stood alone, should it be read after all."""
        return Decision(segment=self.n, base=self.n, gate_source=self.n)


@dataclass(kw_only=True)
class _Epoch:
    """The decisions on an epoch's frames, from its first one on without a gap."""

    decisions: dict[int, Decision] = field(default_factory=dict)
    bytes: int = 0  #: of all decisions

    def add(self, n: int, decision: Decision) -> None:
        """Frame ``n`` may be decided again, after its chain state was dropped."""
        before = self.decisions.get(n)
        self.bytes += decision.bytes - (before.bytes if before else 0)
        self.decisions[n] = decision


class Decisions:
    """Decisions, frame by frame. Not safe to call from several threads.

    Frames that somebody waits for are announced by ``begin`` and ``end``: between them nothing of their epochs is
    dropped, so that waiters can't make each other start anew for ever.

    ``border``, ``margin_cells``: see ``areas_to_compute``; ``blocks``: whether parts of frames are reused; else every
    frame is computed whole, and only gates are held.
    """

    def __init__(
        self, *, segment: int, threshold: float, border: BorderCost, blocks: bool, margin_cells: int = 1
    ) -> None:
        self._segment, self._threshold, self._border, self._blocks = segment, threshold, border, blocks
        self._margin_cells = margin_cells
        self._awaited: dict[int, Counter[int]] = {}  # by epoch
        self._states: LRUCache[int, _ChainState | _Unreadable] = LRUCache(STATES_BYTES, self._awaited.__contains__)
        self._epochs: LRUCache[int, _Epoch] = LRUCache(DECISIONS_BYTES, self._awaited.__contains__)

    def begin(self, n: int) -> None:
        """Somebody waits for frame ``n`` now."""
        self._awaited.setdefault(self._epoch_of(n), Counter())[n] += 1

    def end(self, n: int) -> None:
        """One fewer waits for frame ``n``."""
        epoch = self._epoch_of(n)
        awaited = self._awaited[epoch]
        awaited[n] -= 1
        if not awaited[n]:
            del awaited[n]
        if not awaited:
            del self._awaited[epoch]
            self._states.trim()
            self._epochs.trim()

    def is_awaited(self, n: int) -> bool:
        """Whether somebody waits for frame ``n``."""
        return n in self._awaited.get(self._epoch_of(n), ())

    @property
    def awaited(self) -> int:
        """How many frames somebody waits for."""
        return sum(len(frames) for frames in self._awaited.values())

    def __getitem__(self, n: int) -> Decision:
        """The decision on a frame; KeyError where it is not decided, or was dropped."""
        epoch = self._epochs.get(self._epoch_of(n))
        if epoch is None:
            raise KeyError(n)
        return epoch.decisions[n]

    def from_base(self, n: int) -> dict[int, Decision]:
        """The decisions on the frames from the base of frame ``n`` to itself; KeyError as for ``n`` alone."""
        return {k: self[k] for k in range(self[n].base, n + 1)}

    def next_undecided(self, n: int) -> int | None:
        """The frame that must be added next on the way to frame ``n``, None where ``n`` is decided."""
        number = self._epoch_of(n)
        epoch, state = self._epochs.get(number), self._states.get(number)
        if epoch is not None and n in epoch.decisions:
            return None
        if epoch is None or state is None or state.n >= n:
            return number * self._segment * EPOCH_SEGMENTS
        return state.n + 1

    def add(self, n: int, source: NDArray[np.float32] | None, cut: bool | None = None) -> None:
        """Decide frame ``n``, which is what ``next_undecided`` has said.

        ``source``: (3, H, W), not written to afterwards, None where the frame can't be read; ``cut``: whether a scene
        begins here, None where no prop says so.
        """
        number = self._epoch_of(n)
        before = self._states.pop(number)  # should anything fail, the epoch starts anew
        state: _ChainState | _Unreadable
        if source is None:
            state = _Unreadable(n=n)
        elif isinstance(before, _ChainState) and before.n + 1 == n:
            state = self._following(before, n, source, cut)
        else:
            state = self._whole(n, n, source)
        if self._epoch_of(n + 1) == number:  # else nobody goes on from it
            self._states.put(number, state, state.bytes)
        epoch = self._epochs.get(number) or _Epoch()
        epoch.add(n, state.decision)
        self._epochs.put(number, epoch, epoch.bytes)

    def forget(self, n: int) -> None:
        """Decide the epoch of frame ``n`` anew."""
        self._states.pop(self._epoch_of(n))
        self._epochs.pop(self._epoch_of(n))

    def _epoch_of(self, n: int) -> int:
        return n // (self._segment * EPOCH_SEGMENTS)

    def _following(self, state: _ChainState, n: int, source: NDArray[np.float32], cut: bool | None) -> _ChainState:
        """Frame ``n`` after the one before it, each rule in its turn."""
        on_grid = n % self._segment == 0
        segment = n if on_grid else state.decision.segment
        if cut:
            return self._whole(n, n, source)
        if self._blocks and state.whole_in_a_row >= GIVE_UP_AFTER and not on_grid:
            return self._whole(n, segment, source, state.whole_in_a_row, uncompared=True)
        difference = differences(state.reference, source)
        if cut is None and difference.mean() > CUT_CODES:
            return self._whole(n, n, source)
        whole_in_a_row = 1 if on_grid else state.whole_in_a_row + 1
        if (self._blocks or on_grid) and self._has_drifted(state, source, difference):
            return self._whole(n, segment, source, whole_in_a_row)
        if not self._blocks:
            return self._held(state, n, segment, source)
        cells = changed(difference, self._threshold)
        size = (source.shape[1], source.shape[2])
        areas = areas_to_compute(cells, size, border=self._border, margin_cells=self._margin_cells, most=MOST_OF_WHOLE)
        if areas is None:
            return self._whole(n, segment, source, whole_in_a_row)
        return self._held(state, n, segment, source) if on_grid else self._partly(state, n, source, areas)

    @staticmethod
    def _has_drifted(state: _ChainState, source: NDArray[np.float32], difference: NDArray[np.float32]) -> bool:
        """Whether the gates in use are too old for this frame; ``difference`` is that to the state's reference."""
        if state.gate_frame is not state.reference:
            difference = differences(state.gate_frame, source)
        return not difference.mean() <= DRIFTED_CODES

    @staticmethod
    def _whole(
        n: int, segment: int, source: NDArray[np.float32], whole_in_a_row: int = 0, *, uncompared: bool = False
    ) -> _ChainState:
        """Frame ``n`` whole, with its own gates."""
        return _ChainState(
            n=n,
            decision=Decision(segment=segment, base=n, gate_source=n, uncompared=uncompared),
            reference=source,
            gate_frame=source,
            whole_in_a_row=whole_in_a_row,
        )

    @staticmethod
    def _held(state: _ChainState, n: int, segment: int, source: NDArray[np.float32]) -> _ChainState:
        """Frame ``n`` whole, with the gates that are in use."""
        decision = Decision(segment=segment, base=n, gate_source=state.decision.gate_source)
        return _ChainState(n=n, decision=decision, reference=source, gate_frame=state.gate_frame)

    @staticmethod
    def _partly(state: _ChainState, n: int, source: NDArray[np.float32], areas: list[Rectangle]) -> _ChainState:
        """Frame ``n`` from the one before, with ``areas`` computed."""
        reference = state.reference
        if areas and not state.owns_reference:
            reference = reference.copy()
        computed = np.zeros(source.shape[1:], np.bool_)
        for area in areas:
            reference[:, *area.index] = source[:, *area.index]
            computed[area.index] = True
        before = state.decision
        decision = Decision(
            segment=before.segment,
            base=before.base,
            gate_source=before.gate_source,
            areas=tuple(areas),
            reused=1 - float(computed.mean()),
        )
        return _ChainState(
            n=n,
            decision=decision,
            reference=reference,
            gate_frame=state.gate_frame,
            owns_reference=state.owns_reference or bool(areas),
        )
