"""Which rectangles to compute so that every changed cell is covered at the least cost.

The network reads a border around each rectangle, so two that lie near cost less as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Border
from vscugan.architectures.shapes import round_up
from vscugan.reuse.changes import CELL_PX
from vscugan.tiling.geometry import Rectangle, Span

#: Side of the blocks whose changed cells make the first rectangles, in cells.
BLOCK_CELLS = 4
#: More rectangles than this are begun with larger blocks: merging takes time by the square.
MOST_RECTANGLES = 128
#: px of a halo for which one cell around what changed is computed with it, and at least one cell. Of a change of 8x8 px
#: at most 4 codes of 8 bit are then missing, with each network here; with one cell RRDBNet would lack 13.
HALO_PX_OF_A_MARGIN_CELL = 16
#: What a rectangle costs beside its pixels, in pixels: two cores take 1 ms for as many.
CALL_PX = 256

#: Rectangles in cells: rows are top, left, bottom, right.
type Boxes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class BorderCost:
    """Px that the network computes beyond a rectangle's side, and beyond the frame's, both ends together."""

    rectangle_px: int
    frame_px: int

    @classmethod
    def of(cls, architecture: Architecture) -> BorderCost:
        """VALID maps shrink from layer to layer, so that half of the halo is computed on each side.

        That is within 15 % of what torch and OpenVINO take on a CPU for one to 24 rectangles of 32x32 to 600x360 px.
        With SAME all of it is, and none around the whole frame.
        """
        halo = architecture.halo_px
        if architecture.border is Border.VALID:
            return cls(rectangle_px=halo, frame_px=halo)
        return cls(rectangle_px=2 * halo, frame_px=0)


def margin_cells_of(architecture: Architecture) -> int:
    """How many cells around a changed one are computed with it."""
    return max(1, architecture.halo_px // HALO_PX_OF_A_MARGIN_CELL)


def areas_to_compute(
    changed: NDArray[np.bool_], size: tuple[int, int], *, border: BorderCost, margin_cells: int, most: float
) -> list[Rectangle] | None:
    """Rectangles that hold every changed cell and ``margin_cells`` around it, or None where the frame costs less.

    ``changed``: by cell; ``size``: (height, width) of the frame in px; ``most``: share of the whole
    frame's cost that all rectangles may have together.
    """
    if not changed.any():
        return []
    whole = (size[0] + border.frame_px, size[1] + border.frame_px)
    most_px = most * whole[0] * whole[1]
    if changed.sum() * CELL_PX**2 > most_px:
        return None
    costs = _Costs(border, size)
    boxes = _merged(_bounds(_grown(changed, margin_cells)), costs)
    if costs(boxes).sum() > most_px:
        return None
    return [_rectangle(box, size) for box in boxes.tolist()]


def _grown(cells: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """The cells and those that are at most ``by`` from one."""
    by = min(by, max(cells.shape))  # a network that must see the whole frame has a margin without end
    for axis in (0, 1):
        padded = np.pad(cells, [(by, by) if a == axis else (0, 0) for a in (0, 1)])
        cells = np.lib.stride_tricks.sliding_window_view(padded, 2 * by + 1, axis=axis).any(-1)
    return cells


def _bounds(cells: NDArray[np.bool_]) -> Boxes:
    """The bounds of the cells in each block."""
    block = BLOCK_CELLS
    while True:
        boxes = []
        for top in range(0, cells.shape[0], block):
            strip = cells[top : top + block]
            for left in np.unique(np.flatnonzero(strip.any(0)) // block) * block:
                rows, columns = np.nonzero(strip[:, left : left + block])
                boxes.append((top + rows.min(), left + columns.min(), top + rows.max() + 1, left + columns.max() + 1))
        if len(boxes) <= MOST_RECTANGLES:
            return np.array(boxes, np.int64)
        block *= 2


class _Costs:
    """What boxes cost, in pixels: their own and the border, which ends with the frame."""

    def __init__(self, border: BorderCost, size: tuple[int, int]) -> None:
        self._border_px = border.rectangle_px
        # cells reach beyond the frame, and a border may
        self._most = np.array([round_up(px, CELL_PX) + border.frame_px for px in size])

    def __call__(self, boxes: Boxes) -> NDArray[np.int64]:
        sides = np.minimum((boxes[..., 2:] - boxes[..., :2]) * CELL_PX + self._border_px, self._most)
        return np.asarray(sides.prod(-1) + CALL_PX)


def _joined(box: Boxes, others: Boxes) -> Boxes:
    """The bounds of a box and each of the others."""
    return np.concatenate([np.minimum(box[:2], others[:, :2]), np.maximum(box[2:], others[:, 2:])], axis=1)


def _merged(boxes: Boxes, costs: _Costs) -> Boxes:
    """Join the pair that saves most, until none saves anything."""

    def savings(box: Boxes) -> NDArray[np.int64]:
        return costs(box) + costs(boxes) - costs(_joined(box, boxes))

    saved = np.stack([savings(box) for box in boxes])
    np.fill_diagonal(saved, -1)
    while len(boxes) > 1 and saved.max() >= 0:
        i, j = sorted(int(k) for k in np.unravel_index(saved.argmax(), saved.shape))
        boxes[i] = _joined(boxes[i], boxes[j : j + 1])[0]
        boxes = np.delete(boxes, j, axis=0)
        saved = np.delete(np.delete(saved, j, axis=0), j, axis=1)
        saved[i] = saved[:, i] = savings(boxes[i])
        saved[i, i] = -1
    return boxes


def _rectangle(box: list[int], size: tuple[int, int]) -> Rectangle:
    """A box in px, within the frame."""
    rows, columns = (Span(start=box[axis] * CELL_PX, stop=min(box[axis + 2] * CELL_PX, size[axis])) for axis in (0, 1))
    return Rectangle(rows=rows, columns=columns)
