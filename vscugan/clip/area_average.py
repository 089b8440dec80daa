"""Downscaling by the mean over each output pixel's area."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def area_average(x: Tensor, height: int, width: int) -> Tensor:
    """Mean over the area of each output pixel: (1, C, H, W) -> (1, C, height, width), both at most as large.

    Pixels that an output pixel covers in part count by that part. Of any floating dtype, which stays, and any range;
    the result stays within that of ``x``.
    """
    if x.shape[2] % height == 0 and x.shape[3] % width == 0:
        return F.interpolate(x, size=(height, width), mode="area")
    return _coverage(x.shape[2], height).to(x) @ x @ _coverage(x.shape[3], width).to(x).T


def _coverage(size: int, count: int) -> Tensor:
    """(count, size): which part of output pixel i lies on input pixel j; rows sum to 1."""
    step = size / count
    start = torch.arange(count, dtype=torch.float64)[:, None] * step
    pixel = torch.arange(size, dtype=torch.float64)
    overlap = torch.minimum(start + step, pixel + 1) - torch.maximum(start, pixel)
    return overlap.clamp_(min=0) / step
