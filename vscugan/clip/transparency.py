"""Colour under transparent pixels, and enlarged alpha kept within its source's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def bleed(x: Tensor, alpha: Tensor) -> Tensor:
    """Colour of the visible pixels carried under the transparent ones: (1, C, H, W) and (1, 1, H, W) -> (1, C, H, W).

    Pixels with an alpha above 0 stay as they are; the others take the mean of the visible pixels near them,
    weighted by their alpha, over the smallest square of 2, 4, 8 ... px that holds any. Nothing visible: ``x``.
    Both are fp32; ``x`` may have any range, ``alpha`` is 0..1.
    """
    if bool((alpha > 0).all()) or not bool((alpha > 0).any()):
        return x
    means = _pull(x * alpha, alpha)
    return torch.where(alpha > 0, x, means)


def _pull(weighted: Tensor, weight: Tensor) -> Tensor:
    """Weighted means, and where there is no weight those of the next coarser level, enlarged (pull-push)."""
    mean = weighted / weight.clamp(min=1e-6)
    if max(weight.shape[2:]) <= 1:
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
