"""Which rectangles to compute so that every changed cell is covered at the least cost.

The network reads a border around each rectangle, so two that lie near cost less as one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vscugan.reuse.changes import CELL_PX
from vscugan.tiling.geometry import Rectangle, Span

#: Side of the blocks whose changed cells make the first rectangles, in cells.
BLOCK_CELLS = 4
#: More rectangles than this are begun with larger blocks: merging takes time by the square.
MOST_RECTANGLES = 128
#: What a rectangle costs beside its pixels, in pixels: two cores take 1 ms for as many.
CALL_PX = 256

#: Rectangles in cells: rows are top, left, bottom, right.
Boxes = NDArray[np.int64]


def areas_to_compute(
    changed: NDArray[np.bool_], size: tuple[int, int], *, halo_px: int, margin_cells: int, most: float
) -> list[Rectangle] | None:
    """Rectangles that hold every changed cell and ``margin_cells`` around it, or None where the frame costs less.

    ``changed``: by cell; ``size``: (height, width) of the frame in px; ``halo_px``: border that the network reads
    around a rectangle; ``most``: share of the whole frame's cost that all rectangles may have together.
    """
    if not changed.any():
        return []
    room = most * (size[0] + halo_px) * (size[1] + halo_px)
    if changed.sum() * CELL_PX**2 > room:
        return None
    boxes = _merged(_bounds(_grown(changed, margin_cells)), halo_px)
    if _cost(boxes, halo_px).sum() > room:
        return None
    return [_rectangle(box, size) for box in boxes.tolist()]


def _grown(cells: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """The cells and those that are at most ``by`` from one."""
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


def _cost(boxes: Boxes, halo_px: int) -> NDArray[np.int64]:
    """What each box costs, in pixels.

    Its pixels with half the halo on each side, since the maps shrink from layer to layer: within 15 % of what torch
    and OpenVINO take on a CPU for one to 24 rectangles of 32x32 to 600x360 px.
    """
    sides = (boxes[..., 2:] - boxes[..., :2]) * CELL_PX + halo_px
    return np.asarray(sides.prod(-1) + CALL_PX)


def _joined(box: Boxes, others: Boxes) -> Boxes:
    """The bounds of a box and each of the others."""
    return np.concatenate([np.minimum(box[:2], others[:, :2]), np.maximum(box[2:], others[:, 2:])], axis=1)


def _merged(boxes: Boxes, halo_px: int) -> Boxes:
    """Join the pair that saves most, until none saves anything."""

    def savings(box: Boxes) -> NDArray[np.int64]:
        return _cost(box, halo_px) + _cost(boxes, halo_px) - _cost(_joined(box, boxes), halo_px)

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
