"""Pictures that share a clip stay apart, and come back with everything that they carried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from support.enlargement import PlainEnlargement
from support.still_images import ICC, ramp

import vscugan.clip.filter as filter_module
from vscugan.errors import ArgumentError, FrameError
from vscugan.image.picture_files import Picture
from vscugan.image.upscaler import Upscaler


class Clamped(PlainEnlargement):
    """Keeps to 0..1, as the network does: gray of a limited range would lose its ends."""

    def upscale(self, source: np.ndarray, target: Sequence[np.ndarray], n: int = 0) -> None:
        super().upscale(source.clip(0, 1), target, n)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every engine that is built; each one stands in for the network."""
    engines: list[object] = []

    def build(*arguments: Any, **named: Any) -> Clamped:
        engine = Clamped(*arguments, **named)
        engines.append(engine)
        return engine

    monkeypatch.setattr(filter_module, "Engine", build)
    return engines


def picture(samples: int, dtype: type = np.uint8, *, shift: int = 0, height: int = 20) -> Picture:
    """A slope, and for 2 or 4 samples its alpha; ``shift`` makes it another one of the same kind."""
    values = np.roll(ramp(samples, dtype, height), shift, axis=1)
    colours = samples - (samples in (2, 4))
    alpha = np.maximum(values[..., -1], 1) if colours != samples else None  # colour bleeds under what is transparent
    return Picture(pixels=values[..., :colours], alpha=alpha, icc=ICC, exif=b"exif", texts=((1, "text"),))


def twice(values: np.ndarray) -> np.ndarray:
    return values.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_every_kind_comes_back_bit_by_bit(samples: int, dtype: type, built: list[object]) -> None:
    """Gray is full range, as RGB is, so the ends of the range stay what they are."""
    given = picture(samples, dtype)
    values = given.pixels.copy()
    values[0, 0], values[0, 1] = 0, np.iinfo(dtype).max
    given = Picture(pixels=values, alpha=given.alpha, icc=given.icc, exif=given.exif, texts=given.texts)
    got = Upscaler({"device": "cpu"}).upscale(given)
    assert got.pixels.dtype == dtype
    assert np.array_equal(got.pixels, twice(values))
    assert (got.icc, got.exif, got.texts) == (ICC, b"exif", ((1, "text"),))
    if given.alpha is None:
        assert got.alpha is None
    else:
        assert got.alpha is not None
        assert np.array_equal(got.alpha, twice(given.alpha))
    assert len(built) == 1


def test_pictures_of_one_kind_in_a_row_share_a_clip(built: list[object]) -> None:
    """And none comes back as the one before it, nor does the first one again."""
    upscaler = Upscaler({"device": "cpu"})
    for shift in (0, 1, 1, 5, 0, 0):
        given = picture(4, shift=shift)
        got = upscaler.upscale(given)
        assert np.array_equal(got.pixels[..., 0], twice(given.pixels[..., 0])), shift
        assert given.alpha is not None
        assert got.alpha is not None
        assert np.array_equal(got.alpha, twice(given.alpha)), shift
    assert len(built) == 1


def test_another_kind_gets_a_clip_of_its_own(built: list[object]) -> None:
    upscaler = Upscaler({"device": "cpu"})
    kinds: list[Callable[[], Picture]] = [
        lambda: picture(3),
        lambda: picture(3, np.uint16),
        lambda: picture(3, np.uint16, height=22),
        lambda: picture(1),
        lambda: picture(2),
        lambda: picture(3),
    ]
    for count, make in enumerate(kinds, 1):
        given = make()
        assert np.array_equal(upscaler.upscale(given).pixels, twice(given.pixels))
        assert len(built) == count


def test_an_option_that_is_wrong_is_named_without_the_function(built: list[object]) -> None:
    upscaler = Upscaler({"scale": 99.0})
    for _ in range(2):
        with pytest.raises(ArgumentError) as error:
            upscaler.upscale(picture(3))
        assert str(error.value) == (
            "scale must be 1 to 16, got 99; 1 restores without resizing, and width or height makes a smaller picture"
        )
    assert not built


def test_a_picture_that_fails_leaves_the_next_one_alone(built: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler, upscale = Upscaler({"device": "cpu"}), PlainEnlargement.upscale

    def fail(*_: object) -> None:
        raise FrameError("frame 1 must come out finite, got NaN")

    monkeypatch.setattr(PlainEnlargement, "upscale", fail)
    with pytest.raises(FrameError) as error:
        upscaler.upscale(picture(3))
    assert str(error.value) == "frame 1 must come out finite, got NaN"
    monkeypatch.setattr(PlainEnlargement, "upscale", upscale)
    given = picture(3, shift=2)
    assert np.array_equal(upscaler.upscale(given).pixels, twice(given.pixels))
    assert len(built) == 1
