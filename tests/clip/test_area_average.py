"""Area averaging, exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from vscugan.clip.area_average import area_average


def area_by_fractions(x: np.ndarray, count: int) -> np.ndarray:
    """Area averages of a row, each pixel's part written out."""
    step = Fraction(len(x), count)

    def part(i: int, j: int) -> Fraction:
        """Of pixel j, that which output pixel i covers."""
        return max(Fraction(0), min(Fraction(j + 1), (i + 1) * step) - max(Fraction(j), i * step))

    return np.array([sum(float(part(i, j) / step) * x[j] for j in range(len(x))) for i in range(count)])


@pytest.mark.parametrize(("size", "count"), [(12, 12), (12, 6), (12, 5), (13, 7), (9, 1)])
def test_area_is_the_mean_over_each_pixel(size: int, count: int) -> None:
    row = np.random.default_rng(size).random(size)
    wanted = area_by_fractions(row, count)
    across = area_average(torch.from_numpy(row)[None, None, None].expand(1, 2, 4, size), 4, count)
    down = area_average(torch.from_numpy(row)[None, None, :, None].expand(1, 2, size, 4), count, 4)
    assert np.abs(across[0, 1, 2].numpy() - wanted).max() < 1e-12
    assert np.abs(down[0, 0, :, 3].numpy() - wanted).max() < 1e-12
