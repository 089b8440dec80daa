"""What of each frame is computed, and with whose gates: decided by the source frames alone.

Frames are cut into segments on a fixed grid, and at scene cuts; segments into epochs. Within an epoch each frame's
decision follows from the one before, so it is a pure function of the epoch's frames up to this one: whoever
asks in whatever order gets the same. Nothing of the network's results is looked at.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vscugan.reuse.areas import areas_to_compute
from vscugan.reuse.changes import changed, differences
from vscugan.tiling.geometry import Rectangle

Picture = NDArray[np.float32]
Difference = NDArray[np.float32]  #: of each cell

#: Segments whose frames may depend on each other; at an epoch's start the gates are taken anew.
EPOCH_SEGMENTS = 4
#: Rectangles that cost more than this share of the whole frame give way to it.
MOST_OF_WHOLE = 0.8
#: Cells around a changed one that are computed with it.
MARGIN_CELLS = 1
#: Gates age as the picture moves away from the frame that gave them. With a mean difference of 2 codes a frame has
#: 60 dB to itself with its own gates, with 0.3 codes 79 dB.
DRIFTED_CODES = 2.0
#: After so many frames in a row of which too much has changed, the rest of the segment is not compared.
GIVE_UP_AFTER = 8
#: Where nobody has told, a scene begins with a frame whose mean cell differs by more codes than this.
CUT_CODES = 24
#: Epochs whose last frame is kept to go on from.
KEPT_EPOCHS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """How a frame is computed."""

    segment: int  #: the first frame of its segment
    base: int  #: the last frame, at most this one, that is computed whole
    gates_of: int  #: the frame whose gates are used
    areas: tuple[Rectangle, ...] = ()  #: what changes from the frame before to this one, where it is not the base
    reused: float = 0.0  #: share of the frame's pixels that were not computed
    passing: bool = False  #: not compared with the frame before: hardly one after it takes its gates


@dataclass(kw_only=True)
class _Front:
    """The last frame of an epoch that was decided."""

    n: int
    decision: Decision
    reference: Picture  #: the source that each pixel was last computed from
    gates_source: Picture  #: the source frame whose gates are used
    whole_in_a_row: int = 0
    owns_reference: bool = False


class Chain:
    """Decisions, frame by frame. Not safe to call from several threads.

    ``halo_px``: see ``areas_to_compute``; ``blocks``: whether parts of frames are reused; else every frame is
    computed whole, and only gates are held.
    """

    def __init__(self, *, segment: int, threshold: float, halo_px: int, blocks: bool) -> None:
        self._segment, self._threshold, self._halo_px, self._blocks = segment, threshold, halo_px, blocks
        self._decisions: dict[int, Decision] = {}
        self._fronts: OrderedDict[int, _Front] = OrderedDict()

    def __getitem__(self, n: int) -> Decision:
        """The decision on a frame that was decided."""
        return self._decisions[n]

    def next_undecided(self, n: int) -> int | None:
        """The frame that must be added next on the way to frame ``n``, None where ``n`` is decided."""
        if n in self._decisions:
            return None
        front = self._fronts.get(self._epoch(n))
        return self._epoch(n) * self._segment * EPOCH_SEGMENTS if front is None or front.n >= n else front.n + 1

    def add(self, n: int, source: Picture, cut: bool | None) -> None:
        """Decide frame ``n``, which is what ``next_undecided`` has said.

        ``source``: (3, H, W), not written to afterwards; ``cut``: whether a scene begins here, None = not known.
        """
        epoch = self._epoch(n)
        front = self._fronts.pop(epoch, None)
        if front is None or front.n + 1 != n:
            front = self._anew(n, n, source)
        else:
            front = self._following(front, n, source, cut)
        self._fronts[epoch] = front
        self._decisions[n] = front.decision
        while len(self._fronts) > KEPT_EPOCHS:
            self._fronts.popitem(last=False)

    def _epoch(self, n: int) -> int:
        return n // (self._segment * EPOCH_SEGMENTS)

    def _anew(self, n: int, segment: int, source: Picture, whole_in_a_row: int = 0, *, passing: bool = False) -> _Front:
        """Frame ``n`` whole, with its own gates."""
        return _Front(
            n=n,
            decision=Decision(segment=segment, base=n, gates_of=n, passing=passing),
            reference=source,
            gates_source=source,
            whole_in_a_row=whole_in_a_row,
        )

    def _following(self, front: _Front, n: int, source: Picture, cut: bool | None) -> _Front:
        on_grid = n % self._segment == 0
        segment = n if on_grid else front.decision.segment
        if cut:
            return self._anew(n, n, source)
        if self._blocks and front.whole_in_a_row >= GIVE_UP_AFTER and not on_grid:
            return self._anew(n, segment, source, front.whole_in_a_row, passing=True)
        difference = differences(front.reference, source)
        if cut is None and difference.mean() > CUT_CODES:
            return self._anew(n, n, source)
        if not self._blocks:
            return self._held(front, n, segment, source, difference)
        if self._aged(front, source, difference):
            return self._anew(n, segment, source, 1 if on_grid else front.whole_in_a_row + 1)
        cells = changed(difference, self._threshold)
        size = (source.shape[1], source.shape[2])
        areas = areas_to_compute(cells, size, halo_px=self._halo_px, margin_cells=MARGIN_CELLS, most=MOST_OF_WHOLE)
        if areas is None:
            return self._anew(n, segment, source, 1 if on_grid else front.whole_in_a_row + 1)
        if on_grid:
            return self._held(front, n, segment, source, difference)
        return self._partly(front, n, source, areas)

    def _held(self, front: _Front, n: int, segment: int, source: Picture, difference: Difference) -> _Front:
        """Frame ``n`` whole, with the gates that are in use; at a segment's start new ones if they have aged."""
        if n == segment and self._aged(front, source, difference):
            return self._anew(n, segment, source)
        decision = Decision(segment=segment, base=n, gates_of=front.decision.gates_of)
        return _Front(n=n, decision=decision, reference=source, gates_source=front.gates_source)

    @staticmethod
    def _aged(front: _Front, source: Picture, difference: Difference) -> bool:
        """Whether the gates in use are too old for this frame; ``difference`` is that to the front's reference."""
        if front.gates_source is not front.reference:
            difference = differences(front.gates_source, source)
        return not difference.mean() <= DRIFTED_CODES

    def _partly(self, front: _Front, n: int, source: Picture, areas: list[Rectangle]) -> _Front:
        """Frame ``n`` from the one before, with ``areas`` computed."""
        reference = front.reference
        if areas and not front.owns_reference:
            reference = reference.copy()
        computed = np.zeros(source.shape[1:], np.bool_)
        for area in areas:
            reference[:, *area.index] = source[:, *area.index]
            computed[area.index] = True
        before = front.decision
        decision = Decision(
            segment=before.segment,
            base=before.base,
            gates_of=before.gates_of,
            areas=tuple(areas),
            reused=1 - float(computed.mean()),
        )
        return _Front(
            n=n,
            decision=decision,
            reference=reference,
            gates_source=front.gates_source,
            owns_reference=front.owns_reference or bool(areas),
        )
