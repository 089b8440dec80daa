"""What pictures need beside the network: area averaging, colour under transparent pixels, and matte limits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def area(x: Tensor, height: int, width: int) -> Tensor:
    """Mean over the area of each output pixel: (1, C, H, W) -> (1, C, height, width), both at most as large.

    Pixels that an output pixel covers in part count by that part.
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


def bleed(x: Tensor, matte: Tensor) -> Tensor:
    """Colour of the visible pixels carried under the transparent ones: (1, C, H, W) and (1, 1, H, W) -> (1, C, H, W).

    Pixels with a matte above 0 stay as they are; the others take the mean of the visible pixels near them,
    weighted by the matte, over the smallest square of 2, 4, 8 ... px that holds any. Nothing visible: ``x``.
    """
    if bool((matte > 0).all()) or not bool((matte > 0).any()):
        return x
    means = _pull(x * matte, matte)
    return torch.where(matte > 0, x, means)


def _pull(weighted: Tensor, weight: Tensor) -> Tensor:
    """Weighted means, and where there is no weight those of the next coarser level, enlarged (pull-push)."""
    mean = weighted / weight.clamp(min=1e-6)
    if min(weight.shape[2:]) <= 1 and max(weight.shape[2:]) <= 1:
        return mean
    coarse = [F.avg_pool2d(t, 2, ceil_mode=True, count_include_pad=False) for t in (weighted, weight)]
    below = _pull(coarse[0], coarse[1])
    below = F.interpolate(below, scale_factor=2, mode="bilinear", align_corners=False)
    return torch.where(weight > 0, mean, below[:, :, : weight.shape[2], : weight.shape[3]])


def within_neighbours(enlarged: Tensor, source: Tensor, scale: int) -> Tensor:
    """(1, 1, scale*H, scale*W) kept between the least and the greatest of the source's 3x3 px around each.

    So what was opaque or transparent all around stays exactly that.
    """
    around = F.pad(source, (1, 1, 1, 1), mode="replicate")
    greatest = F.max_pool2d(around, 3, stride=1)
    least = -F.max_pool2d(-around, 3, stride=1)
    low, high = (F.interpolate(t, scale_factor=scale, mode="nearest") for t in (least, greatest))
    return torch.minimum(torch.maximum(enlarged, low), high)
