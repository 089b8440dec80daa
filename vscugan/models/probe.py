"""How far a network looks around each place, found by running it on a drawn picture.

Beside the whole picture a tile of it is computed, with more and more px around it, until both agree within ``BOUND``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf, lcm

import torch
from torch import Tensor

#: Halos that are tried, in px of the picture: the smallest that is enough is taken.
HALOS_PX = (8, 16, 24, 32, 48, 64)
#: How much a tile may differ from the whole picture, of a range of 1: a quarter of a code of 8 bit.
BOUND = 1 / 1024
#: Networks that work in windows, as transformers do, need tiles that begin where a window does.
WINDOW_MULTIPLE = 16
#: Of the drawn picture: its rows, the tile, and the columns on each side of the tile: 97 more than the widest halo, and
#: odd, so that no tile begins at a multiple by chance.
ROWS_PX, TILE_PX, BESIDE_PX = 32, 32, 161

#: (1, 3, h, w) in 0..1 -> (1, 3, scale*h, scale*w), fp32, for sizes that the network takes.
type Run = Callable[[Tensor], Tensor]

#: Row and column as a share of the picture's, radius in px, brightness.
_DISCS = ((0.3, 0.2, 15, 0.5), (0.7, 0.45, 21, -0.3), (0.4, 0.55, 9, 0.6), (0.6, 0.8, 25, 0.2))


@cache
def drawn_picture(height: int, width: int) -> Tensor:
    """(1, 3, height, width) fp32 in 0..1: flat areas, edges, lines and texture, lighter and busier to the right."""
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    across = x / width
    shade = 0.1 + 0.6 * across + 0.1 * torch.sin(y / 17)
    discs = torch.zeros(height, width)
    for row, column, radius, value in _DISCS:
        discs += value * ((y - height * row).square() + (x - width * column).square() < radius**2)
    lines = 0.4 * ((3 * x - y).remainder(41) < 2) - 0.4 * ((x + 2 * y).remainder(23) < 1.5)
    noise = torch.rand(height, width, generator=torch.Generator().manual_seed(1)) - 0.5
    texture = 0.25 * across * (torch.sin(x * 1.9) * torch.sin(y * 2.3) + noise)
    picture = torch.stack([shade + discs + lines + texture, shade - discs + lines, 0.9 - shade + discs + texture])
    return picture.clamp_(0, 1)[None]


def round_to(px: int, multiple: int) -> int:
    """The least multiple of ``multiple`` that is at least ``px``."""
    return -(-px // multiple) * multiple


class _Trial:
    """A tile, and two whole pictures around it, black and bright noise beyond what the tile may see of them.

    What a network takes from the whole picture, such as a mean, is another one in each.
    """

    def __init__(self, run: Run, scale: int, multiple: int, minimum_px: int) -> None:
        self._run, self._scale, self._multiple, self._minimum_px = run, scale, multiple, minimum_px
        more = minimum_px // 2 if minimum_px > ROWS_PX else 0  # a window of the least size must find room
        self._start = round_to(BESIDE_PX + more, multiple)
        self._stop = self._start + round_to(TILE_PX, multiple)
        self._picture = drawn_picture(max(round_to(ROWS_PX, multiple), minimum_px), self._start + self._stop)
        self._wholes = [self._own(run(self._beyond(value, noise)), 0) for value, noise in ((0, 0), (0.6, 0.4))]

    def _own(self, y: Tensor, left: int) -> Tensor:
        """The tile's part of a result for a picture whose first column is ``left``."""
        return y[..., (self._start - left) * self._scale : (self._stop - left) * self._scale]

    def _window(self, halo_px: int) -> tuple[int, int]:
        """The columns that the tile is computed from, with so much around it."""
        each = self._multiple
        left, right = (self._start - halo_px) // each * each, round_to(self._stop + halo_px, each)
        left -= round_to(max(0, self._minimum_px - (right - left)) // 2, each)
        return left, max(right, left + self._minimum_px)

    def _beyond(self, value: float, noise: float) -> Tensor:
        """The picture with this in place of all that no window has."""
        left, right = self._window(HALOS_PX[-1])
        chance = torch.Generator().manual_seed(2)
        picture = value + noise * torch.rand(self._picture.shape, generator=chance)
        picture[..., left:right] = self._picture[..., left:right]
        return picture

    def difference(self, halo_px: int) -> float:
        """The largest difference of the tile to either picture; not finite where one of them is not."""
        left, right = self._window(halo_px)
        tile = self._own(self._run(self._picture[..., left:right].contiguous()), left)
        return float(torch.stack([(tile - whole).abs().max() for whole in self._wholes]).max())


def measured_halo(run: Run, scale: int, multiple: int, minimum_px: int) -> tuple[int, int | None, float]:
    """The multiple at which tiles must lie, the halo in px, and the largest difference then, of a range of 1.

    Where no halo is enough it is None, and the difference that with the widest.
    """
    least = inf
    for each in dict.fromkeys((multiple, lcm(multiple, WINDOW_MULTIPLE))):
        trial = _Trial(run, scale, each, round_to(minimum_px, each))
        with_widest = trial.difference(HALOS_PX[-1])
        if with_widest < BOUND:
            for halo_px in HALOS_PX[:-1]:
                if (difference := trial.difference(halo_px)) < BOUND:
                    return each, halo_px, difference
            return each, HALOS_PX[-1], with_widest
        least = min(least, with_widest)
    return multiple, None, least


def difference_without_halo(run: Run, scale: int, multiple: int, minimum_px: int) -> float:
    """The largest difference of a tile around which nothing is seen but what ``run`` itself takes off its pictures."""
    return _Trial(run, scale, multiple, minimum_px).difference(0)
