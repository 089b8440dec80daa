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
    for top in range(0, rows, ROWS_AT_ONCE):
        lines = slice(top * CELL_PX, min(height, (top + ROWS_AT_ONCE) * CELL_PX))
        with np.errstate(over="ignore", invalid="ignore"):
            sums = _cell_sums(np.abs(a[:, lines] - b[:, lines]), columns)
            found[top : top + ROWS_AT_ONCE] = (sums / counts[top : top + ROWS_AT_ONCE]).max(0) * CODES
    return found


def _sizes(px: int, cells: int) -> NDArray[np.float32]:
    """The px of each cell along an axis."""
    return np.minimum(CELL_PX, px - CELL_PX * np.arange(cells)).astype(np.float32)


def _cell_sums(x: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """Sums of each cell of (3, h, w), its px in the order of reading."""
    rows = -(-x.shape[1] // CELL_PX)
    padded = np.zeros((3, rows * CELL_PX, columns * CELL_PX), np.float32)
    padded[:, : x.shape[1], : x.shape[2]] = x
    cells = padded.reshape(3, rows, CELL_PX, columns, CELL_PX)
    sums = np.zeros((3, rows, columns), np.float32)
    for y, at in np.ndindex(CELL_PX, CELL_PX):
        sums += cells[:, :, y, :, at]
    return sums


def changed(difference: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """The cells that differ by more than ``threshold`` codes, or can't be compared."""
    return np.asarray(~(difference <= threshold))
