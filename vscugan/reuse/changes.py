"""Where two frames differ, cell by cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Side of the squares that are compared.
CELL_PX = 8
#: Codes of 8 bit in the range 0..1.
CODES = 255
#: Rows of cells that are compared together, so that they stay in a core's cache.
ROWS_AT_ONCE = 8


def differences(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean absolute difference of (3, H, W) fp32 frames in each cell, in codes of 8 bit.

    Returns (ceil(H / 8), ceil(W / 8)) fp32: of the three channels the one that differs most; cells at the right
    and lower border may be smaller. NaN where a frame holds NaN.
    """
    height, width = a.shape[1:]
    rows, columns = -(-height // CELL_PX), -(-width // CELL_PX)
    counts = np.outer(_sizes(height, rows), _sizes(width, columns))
    found = np.empty((rows, columns), np.float32)
    padded = np.zeros((3, min(rows, ROWS_AT_ONCE) * CELL_PX, columns * CELL_PX), np.float32)
    for top in range(0, rows, ROWS_AT_ONCE):
        lines = slice(top * CELL_PX, min(height, (top + ROWS_AT_ONCE) * CELL_PX))
        count = lines.stop - lines.start
        part = padded[:, :count, :width]
        padded[:, count:] = 0
        cells = slice(top, top + ROWS_AT_ONCE)
        with np.errstate(over="ignore", invalid="ignore"):
            np.abs(np.subtract(a[:, lines], b[:, lines], out=part), out=part)
            sums = _cell_sums(padded)[:, : found[cells].shape[0]]
            found[cells] = (sums / counts[cells]).max(0) * CODES
    return found


def _sizes(px: int, cells: int) -> NDArray[np.float32]:
    """The px of each cell along an axis."""
    return np.minimum(CELL_PX, px - CELL_PX * np.arange(cells)).astype(np.float32)


def _cell_sums(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of each cell of (3, h, w), both multiples of 8: of its columns, then of these, always in the same order."""
    rows = x.reshape(3, -1, CELL_PX, x.shape[2])
    columns = rows[:, :, 0].copy()
    for y in range(1, CELL_PX):
        columns += rows[:, :, y]
    sums = columns[..., ::CELL_PX].copy()
    for at in range(1, CELL_PX):
        sums += columns[..., at::CELL_PX]
    return sums


def changed(difference: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """The cells that differ by more than ``threshold`` codes, or can't be compared."""
    return np.asarray(~(difference <= threshold))
