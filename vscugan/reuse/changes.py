"""Where two frames differ, cell by cell."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

#: Side of the squares that are compared.
CELL_PX = 8
#: Codes of 8 bit in the range 0..1.
CODES = 255


def differences(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean absolute difference of (3, H, W) fp32 frames in each cell, in codes of 8 bit.

    Returns (ceil(H / 8), ceil(W / 8)) fp32: of the three channels the one that differs most; cells at the right
    and lower border may be smaller. NaN where a frame holds NaN.
    """
    distance = (torch.from_numpy(a) - torch.from_numpy(b)).abs_()
    cells = F.avg_pool2d(distance, CELL_PX, ceil_mode=True, count_include_pad=False)
    return (cells.amax(0) * CODES).numpy()


def changed(difference: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """The cells that differ by more than ``threshold`` codes, or can't be compared."""
    return np.asarray(~(difference <= threshold))
