"""What the network is given of a picture or of a part of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import product

import pytest
import torch
from support.tensors import TENSORS
from toys.toy_architectures import SAME, VALID

from vscugan.architectures import ARCHITECTURES
from vscugan.architectures.architecture import Architecture
from vscugan.architectures.shapes import round_up
from vscugan.engine.padding import network_input, picture_of
from vscugan.tiling.geometry import Rectangle, Span

PRO = ARCHITECTURES["upcunet-2x-pro"]
EACH = [
    ARCHITECTURES["upcunet-2x"],
    ARCHITECTURES["upcunet-3x"],  # sizes are rounded up to a multiple of 4
    ARCHITECTURES["upcunet-4x"],  # its border is odd
    PRO,
    VALID,
    SAME,
    dataclasses.replace(SAME, name="toy-same-of-4", multiple=4),
    ARCHITECTURES["halfnet-2x"],
]


def random_picture(height: int, width: int) -> torch.Tensor:
    """(1, 3, height, width) fp32, some of it beyond 0..1."""
    return torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(1)) * 1.4 - 0.2


def source_px(at: int, px: int) -> int:
    """Which of an axis's ``px`` is seen at ``at``: reflected at either end, and replicated where that is too short."""
    if at < 0:
        return min(-at, px - 1)
    return at if at < px else max(2 * (px - 1) - at, 0)


def padded_picture(architecture: Architecture, x: torch.Tensor) -> torch.Tensor:
    """The whole picture with its border, in the network's range; chosen px by px."""
    pad, multiple = architecture.pad_px, architecture.multiple
    rows, columns = ([source_px(at, px) for at in range(-pad, round_up(px, multiple) + pad)] for px in x.shape[2:])
    y = x[:, :, rows][:, :, :, columns].clamp(0, 1)
    return y * architecture.input_range.gain + architecture.input_range.offset


def spans(px: int) -> Iterator[Span]:
    """Every range of a short axis; of a long one, ranges at its ends and within, odd ones among them."""
    ends = range(px + 1) if px < 8 else (0, 1, 2, 21, 22, px - 19, px - 1, px)
    return (Span(start=start, stop=stop) for start, stop in product(ends, ends) if start < stop)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (1, 6), (47, 61), (48, 64)], ids=lambda s: f"{s[1]}x{s[0]}")
@pytest.mark.parametrize("architecture", EACH, ids=lambda a: a.name)
def test_a_part_is_a_window_of_the_padded_picture(architecture: Architecture, size: tuple[int, int]) -> None:
    x, pad, halo = random_picture(*size), architecture.pad_px, architecture.halo_px
    before, whole = x.clone(), padded_picture(architecture, x)
    for rows, columns in product(spans(size[0]), spans(size[1])):
        y, inner = network_input(architecture, TENSORS, x, Rectangle(rows=rows, columns=columns))
        window = []
        axes = zip((rows, columns), (inner.rows, inner.columns), y.shape[2:], size, strict=True)
        for area, place, length, px in axes:
            assert place.size == area.size
            start, stop = area.start - place.start, area.start - place.start + length - 2 * pad
            assert start % architecture.multiple == stop % architecture.multiple == 0
            # the network sees all that the area depends on, or all that there is
            assert start - pad <= max(area.start - halo, -pad)
            assert stop + pad >= min(area.stop + halo, round_up(px, architecture.multiple) + pad)
            window.append(slice(start, stop + 2 * pad))
        assert torch.allclose(y, whole[:, :, *window], rtol=0, atol=1e-6)
    assert torch.equal(x, before)


@pytest.mark.parametrize("architecture", EACH, ids=lambda a: a.name)
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (48, 64)], ids=lambda s: f"{s[1]}x{s[0]}")
def test_a_picture_is_padded_and_not_written_to(architecture: Architecture, size: tuple[int, int]) -> None:
    x = random_picture(*size)
    before = x.clone()
    y, inner = network_input(architecture, TENSORS, x)
    assert inner == Rectangle(rows=Span(start=0, stop=size[0]), columns=Span(start=0, stop=size[1]))
    assert torch.allclose(y, padded_picture(architecture, x), rtol=0, atol=1e-6)
    y.zero_()
    assert torch.equal(x, before)


@pytest.mark.parametrize("architecture", EACH, ids=lambda a: a.name)
def test_the_networks_range_is_undone(architecture: Architecture) -> None:
    x = random_picture(12, 8)
    y, _ = network_input(architecture, TENSORS, x)
    pad = architecture.pad_px
    got = picture_of(architecture, y)[:, :, pad : pad + 12, pad : pad + 8]
    assert torch.allclose(got, x.clamp(0, 1), rtol=0, atol=1e-6)


def test_pro_takes_black_and_white_for_other_values() -> None:
    y, _ = network_input(PRO, TENSORS, torch.tensor([0.0, 1.0]).expand(1, 3, 2, 2))
    assert sorted(set(y.flatten().tolist())) == pytest.approx([0.15, 0.85])
