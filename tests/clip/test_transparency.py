"""Colour under transparent pixels, and enlarged alpha within its source's."""

from __future__ import annotations

import pytest
import torch

from vscugan.clip.transparency import bleed, within_neighbours


def test_bleed_takes_the_colour_of_what_is_near() -> None:
    x = torch.zeros(1, 3, 40, 60)
    x[:, 0, :, :10], x[:, 1, :, 50:] = 0.8, 0.6  # red at the left, green at the right, black between
    alpha = torch.zeros(1, 1, 40, 60)
    alpha[..., :10] = alpha[..., 50:] = 1
    y = bleed(x, alpha)
    assert torch.equal(y[..., :10], x[..., :10])
    assert torch.equal(y[..., 50:], x[..., 50:])
    assert y[0, 0, 20, 10] == pytest.approx(0.8, abs=0.05)
    assert y[0, 1, 20, 49] == pytest.approx(0.6, abs=0.05)
    assert (y.amax(dim=1) > 0.2).all()  # nothing stays black


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (33, 1), (33, 47)])
def test_bleed_takes_any_size(height: int, width: int) -> None:
    x, alpha = torch.rand(1, 3, height, width), torch.zeros(1, 1, height, width)
    assert bleed(x, alpha) is x
    alpha[..., height // 2, width // 2] = 0.5
    y = bleed(x, alpha)
    assert torch.allclose(y, x[..., height // 2, width // 2][..., None, None].expand_as(y), atol=1e-5)
    assert bleed(x, torch.ones_like(alpha)) is x


def test_an_alpha_stays_within_its_neighbours() -> None:
    alpha = torch.zeros(1, 1, 8, 8)
    alpha[..., 4:] = 1
    enlarged = torch.full((1, 1, 16, 16), 0.4)
    kept = within_neighbours(enlarged, alpha, 2)[0, 0, 0]
    assert kept.tolist() == [0.0] * 6 + [pytest.approx(0.4)] * 4 + [1.0] * 6
