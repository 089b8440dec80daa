"""The files of ``teacher.py``: patches to train on, and whole samples to compare with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from families import LEVELS, SHARES, Student
from numpy.typing import NDArray
from torch import Tensor

RIM_PX = 8  #: of a patch that the loss leaves out where it does not lie at a picture's border
CELL_PX = 16
DETAILED = 0.75  #: of the patches lie around detail, in proportion to it
AT_BORDER = 0.06  #: of the patches lie at each side of a picture


def detail_of(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much the teacher changes each cell of a source, and how uneven it is."""
    change = np.abs(result[::2, ::2].astype(np.int16) - source).mean(-1, dtype=np.float32)
    cells = change.shape[0] // CELL_PX
    return np.asarray(change.reshape(cells, CELL_PX, cells, CELL_PX).mean((1, 3)) + 0.1)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Patches of pictures of one level, (N, 3, H, W) in bytes, and what the teacher made of them, twice as large.

    ``counts``: the rows and columns of the results that the loss is of. ``related`` (N / 2): 1 where a pair is two
    frames of one clip.
    """

    level: int
    sources: Tensor
    results: Tensor
    counts: tuple[slice, slice]
    related: Tensor


class Samples:
    """Patches of the cached pairs, in memory."""

    def __init__(self, folder: Path, patch: int, seed: int) -> None:
        files = [np.load(p) for p in sorted(folder.glob("*.npz"))]
        self.sources = np.concatenate([f["sources"] for f in files])
        self.results = np.concatenate([f["results"] for f in files])
        levels, self.related = (np.concatenate([f[name] for f in files]) for name in ("levels", "related"))
        self.by_level = [np.flatnonzero(levels[::2] == level) for level in range(len(LEVELS))]
        self.patch, self.px = patch, self.sources.shape[1]
        self.detail = np.stack([detail_of(*both) for both in zip(self.sources, self.results, strict=True)])
        by_pair = self.detail.mean((1, 2)).reshape(-1, 2).sum(1)
        self.shares = [by_pair[pairs] / by_pair[pairs].sum() for pairs in self.by_level]
        self.rng = np.random.default_rng(seed)

    def _offset(self, number: int, sides: NDArray[np.int64]) -> tuple[int, int]:
        """Where a patch of a sample begins (y, x): at a side of the picture, or around detail, mostly."""
        detail = self.detail[number].ravel()
        share = DETAILED * detail / detail.sum() + (1 - DETAILED) / detail.size
        places = np.unravel_index(self.rng.choice(detail.size, p=share), self.detail.shape[1:])
        last = self.px - self.patch
        around = [CELL_PX * int(p) + int(self.rng.integers(CELL_PX)) - self.patch // 2 for p in places]
        y, x = ((0, min(max(at, 2), last - 2) // 2 * 2, last)[side] for side, at in zip(sides, around, strict=True))
        return y, x

    def batch(self, count: int) -> Batch:
        """Patches of ``count`` samples of one level.

        They lie at the borders of pictures or not, all in the same way: within a picture, the network lacks at the
        patch's border what the teacher saw. None is flipped: the teacher draws 0.1 px to the upper left, and what
        learns from mirror images, too, draws the mean of both, which is soft and in another place.
        """
        rng, patch = self.rng, self.patch
        level = int(rng.choice(len(LEVELS), p=SHARES))
        chosen = rng.choice(self.by_level[level], count // 2, p=self.shares[level])
        sides = rng.choice(3, 2, p=(AT_BORDER, 1 - 2 * AT_BORDER, AT_BORDER))
        counts = [slice(RIM_PX * 2 * (side > 0), 2 * (patch - RIM_PX * (side < 2))) for side in sides]
        sources, results = [], []
        for pair in chosen:
            offsets = [self._offset(2 * pair + k, sides) for k in range(2)]
            if self.related[pair]:
                offsets[1] = offsets[0]
            for k, (y, x) in enumerate(offsets, start=2 * pair):
                sources.append(self.sources[k, y : y + patch, x : x + patch])
                results.append(self.results[k, 2 * y : 2 * (y + patch), 2 * x : 2 * (x + patch)])
        a, b = torch.from_numpy(np.stack(sources)), torch.from_numpy(np.stack(results))
        return Batch(
            level=level,
            sources=a.permute(0, 3, 1, 2),
            results=b.permute(0, 3, 1, 2),
            counts=(counts[0], counts[1]),
            related=torch.from_numpy(self.related[chosen]),
        )


@torch.no_grad()
def compared(network: Student, folder: Path, device: str = "cpu") -> Iterator[tuple[int, Tensor, Tensor]]:
    """Of each sample the level, what the network makes of it in 0..1, and what the teacher made: (3, H, W) each."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            sources, results, levels = file["sources"], file["results"], file["levels"]
        for source, result, level in zip(sources, results, levels, strict=True):
            x, wanted = (torch.from_numpy(a).permute(2, 0, 1).to(device) / 255 for a in (source, result))
            made = network(x[None].contiguous(memory_format=torch.channels_last), int(level))
            yield int(level), made[0].clamp(0, 1), wanted
