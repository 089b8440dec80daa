"""How far a network looks around each place, found by running it on a drawn picture.

Beside the whole picture a tile of it is computed, with more and more px around it, until both agree.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from math import inf, lcm

import torch
import torch.nn.functional as F
from torch import Tensor

from vscugan.architectures.shapes import round_up

#: Halos that are tried, in px of the picture: the smallest that is enough is taken.
HALOS_PX = (8, 16, 24, 32, 48, 64)
#: How much a tile should differ from the whole frame at most, of a range of 1: a quarter of a code of 8 bit.
BOUND = 1 / 1024
#: The same on the drawn picture, which has fewer places than a frame: Real-ESRGAN anime with 48 px differs by 0.08
#: codes there, and by 0.34 on art.
DRAWN_BOUND = BOUND / 4
#: Networks that work in windows, as transformers do, need tiles that begin where a window does.
WINDOW_MULTIPLE = 16
#: Of the drawn picture: its rows, the tiles, and the columns before the first and after it. They are more than the
#: widest halo, and odd, so that nothing lies at a multiple by chance.
ROWS_PX, TILE_PX, BEFORE_PX, AFTER_PX = 32, 32, 385, 97
BEFORE_TURNED_PX = 129  #: where rows take the place of columns
#: Of memory that a network may take of such pictures: 20 times as much as ESRGAN does.
MOST_BYTES = 4 << 30

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


class _Trial:
    """Two tiles, and two whole pictures around them, black and bright noise before all that a tile may see.

    What a network takes from the whole picture, such as a mean, is another one in each. The second tile ends with the
    picture, where networks fill up what they can't divide.
    ``turned``: rows take the place of columns, fewer of them, beside one whole picture.
    """

    def __init__(
        self, run: Run, scale: int, multiple: int, minimum_px: int, pad_px: int = 0, *, turned: bool = False
    ) -> None:
        self._run = (lambda x: run(x.mT.contiguous()).mT) if turned else run
        self._scale, self._multiple, self._minimum_px = scale, multiple, minimum_px
        self._pad_px = pad_px
        more = minimum_px if minimum_px > ROWS_PX else 0  # a window of the least size must find room
        before = BEFORE_TURNED_PX if turned else BEFORE_PX
        tile, start = round_up(TILE_PX, multiple), round_up(before + more, multiple)
        self._width = round_up(start + tile + AFTER_PX, multiple)
        self._tiles = ((start, start + tile), (self._width - tile, self._width))
        self._picture = drawn_picture(max(round_up(ROWS_PX, multiple), minimum_px), self._width)
        others = ((0.6, 0.4),) if turned else ((0, 0), (0.6, 0.4))
        self._wholes = [self._made(self._before(*other), 0, self._width) for other in others]

    def _made(self, picture: Tensor, left: int, right: int) -> Tensor:
        """What the network makes of these columns, and of the border around them that it takes off."""
        padded = F.pad(picture, [self._pad_px] * 4, mode="reflect")
        return self._run(padded[..., left : right + 2 * self._pad_px].contiguous())

    def _window(self, start: int, stop: int, halo_px: int) -> tuple[int, int]:
        """The columns that a tile is computed from, with so much around it."""
        left = (start - halo_px) // self._multiple * self._multiple
        right = min(round_up(stop + halo_px, self._multiple), self._width)
        return min(left, right - self._minimum_px), right

    def _before(self, value: float, noise: float) -> Tensor:
        """The picture with this in place of all that no window has."""
        left, _ = self._window(*self._tiles[0], max(HALOS_PX[-1], self._pad_px))
        picture = self._picture.clone()
        values = torch.rand(picture[..., :left].shape, generator=torch.Generator().manual_seed(2))
        picture[..., :left] = value + noise * values
        return picture

    def difference(self, halo_px: int) -> float:
        """The largest difference of a tile to either picture; not finite where one of them is not."""
        differences = []
        for start, stop in self._tiles:
            left, right = self._window(start, stop, halo_px)
            made, scale = self._made(self._picture, left, right), self._scale
            tile = made[..., (start - left) * scale : (stop - left) * scale]
            differences += [(tile - y[..., start * scale : stop * scale]).abs().max() for y in self._wholes]
        return float(torch.stack(differences).max())


def measured_halo(run: Run, scale: int, multiple: int, minimum_px: int) -> tuple[int, int | None, float]:
    """The multiple at which tiles must lie, the halo in px, and the largest difference then, of a range of 1.

    Where no halo is enough it is None, and the difference that with the widest.
    """
    least = inf
    for each in dict.fromkeys((multiple, lcm(multiple, WINDOW_MULTIPLE))):
        size = scale, each, round_up(minimum_px, each)
        found, difference = _enough(_Trial(run, *size))
        if found < len(HALOS_PX):
            rows = _Trial(run, *size, turned=True)
            of_rows = rows.difference(HALOS_PX[found])
            is_enough = of_rows < DRAWN_BOUND
            found, difference = (found, max(difference, of_rows)) if is_enough else _enough(rows, found + 1)
        if found < len(HALOS_PX):
            return each, HALOS_PX[found], difference
        least = min(least, difference)
    return multiple, None, least


def _enough(trial: _Trial, first: int = 0) -> tuple[int, float]:
    """Which of the halos from the ``first`` on is enough, their number where none is, and the difference then."""
    differences = cache(trial.difference)
    found = bisect_left(HALOS_PX, True, lo=first, key=lambda halo_px: differences(halo_px) < DRAWN_BOUND)
    return found, differences(HALOS_PX[min(found, len(HALOS_PX) - 1)])


def difference_without_halo(run: Run, scale: int, multiple: int, minimum_px: int, pad_px: int) -> float:
    """The largest difference of tiles, of a network that takes ``pad_px`` off each side of what it is given."""
    return _Trial(run, scale, multiple, minimum_px, pad_px).difference(0)
