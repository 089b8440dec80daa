"""Area averaging, colour under transparent pixels, and matte limits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from vscugan.pictures import area, bleed, within_neighbours


def area_by_fractions(x: np.ndarray, count: int) -> np.ndarray:
    """Area averages of a row, each pixel's part written out."""
    step = Fraction(len(x), count)
    return np.array(
        [
            sum(
                float(max(Fraction(0), min(Fraction(j + 1), (i + 1) * step) - max(Fraction(j), i * step))) * float(x[j])
                for j in range(len(x))
            )
            / float(step)
            for i in range(count)
        ]
    )


@pytest.mark.parametrize(("size", "count"), [(12, 12), (12, 6), (12, 5), (13, 7), (9, 1)])
def test_area_is_the_mean_over_each_pixel(size: int, count: int) -> None:
    row = np.random.default_rng(size).random(size)
    wanted = area_by_fractions(row, count)
    across = area(torch.from_numpy(row)[None, None, None].expand(1, 2, 4, size), 4, count)
    down = area(torch.from_numpy(row)[None, None, :, None].expand(1, 2, size, 4), count, 4)
    assert np.abs(across[0, 1, 2].numpy() - wanted).max() < 1e-12
    assert np.abs(down[0, 0, :, 3].numpy() - wanted).max() < 1e-12


def test_bleed_takes_the_colour_of_what_is_near() -> None:
    x = torch.zeros(1, 3, 40, 60)
    x[:, 0, :, :10], x[:, 1, :, 50:] = 0.8, 0.6  # red at the left, green at the right, black between
    matte = torch.zeros(1, 1, 40, 60)
    matte[..., :10] = matte[..., 50:] = 1
    y = bleed(x, matte)
    assert torch.equal(y[..., :10], x[..., :10])
    assert torch.equal(y[..., 50:], x[..., 50:])
    assert y[0, 0, 20, 10] == pytest.approx(0.8, abs=0.05)
    assert y[0, 1, 20, 49] == pytest.approx(0.6, abs=0.05)
    assert (y.amax(dim=1) > 0.2).all()  # nothing stays black


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (33, 1), (33, 47)])
def test_bleed_takes_any_size(height: int, width: int) -> None:
    x, matte = torch.rand(1, 3, height, width), torch.zeros(1, 1, height, width)
    assert bleed(x, matte) is x
    matte[..., height // 2, width // 2] = 0.5
    y = bleed(x, matte)
    assert torch.allclose(y, x[..., height // 2, width // 2][..., None, None].expand_as(y), atol=1e-5)
    assert bleed(x, torch.ones_like(matte)) is x


def test_a_matte_stays_within_its_neighbours() -> None:
    matte = torch.zeros(1, 1, 8, 8)
    matte[..., 4:] = 1
    enlarged = torch.full((1, 1, 16, 16), 0.4)
    kept = within_neighbours(enlarged, matte, 2)[0, 0, 0]
    assert kept.tolist() == [0.0] * 6 + [pytest.approx(0.4)] * 4 + [1.0] * 6
