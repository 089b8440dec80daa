"""The rows of the released models."""

from __future__ import annotations

import pytest

from vscugan.errors import ArgumentError
from vscugan.models.registry import default_noise, default_scale, find, models, noise_named, rows, scales


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"model": "se", "scale": 3, "noise": "denoise1x"},
            "noise=denoise1x exists only for scale=2, got scale=3; use conservative, no-denoise or denoise3x",
        ),
        (
            {"model": "pro", "scale": 4, "noise": "no-denoise"},
            "model=pro exists only for scale=2 and scale=3, got scale=4; use one of these, or a size",
        ),
        (
            {"model": "pro", "scale": 2, "noise": "denoise2x"},
            "noise=denoise2x exists only for model=se, model=fast, model=waifu2x, model=waifu2x-anime and "
            "model=waifu2x-photo, got model=pro; use conservative, no-denoise or denoise3x",
        ),
        (
            {"model": "waifu2x", "scale": 1, "noise": "no-denoise"},
            "noise=no-denoise exists only for scale=2, got scale=1; use denoise0x, denoise1x, denoise2x or denoise3x",
        ),
        (
            {"model": "waifu2x-anime", "scale": 2, "noise": "conservative"},
            "noise=conservative exists only for model=se, model=pro and model=fast, got model=waifu2x-anime; "
            "use no-denoise, denoise0x, denoise1x, denoise2x or denoise3x",
        ),
        (
            {"model": "se", "scale": 2, "noise": "denoise0x"},
            "noise=denoise0x exists only for model=waifu2x, model=waifu2x-anime and model=waifu2x-photo, got model=se; "
            "use conservative, no-denoise, denoise1x, denoise2x or denoise3x",
        ),
        (
            {"model": "realesrgan-anime", "scale": 4, "noise": "denoise3x"},
            "noise must be left out for model=realesrgan-anime, got denoise3x; it has no noise levels",
        ),
    ],
)
def test_a_model_that_does_not_exist_names_those_that_do(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        find(**arguments)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_integers_are_levels_of_the_model() -> None:
    """vs-mlrt's of Real-CUGAN, and those that waifu2x's users know."""
    levels = ["denoise1x", "denoise2x", "denoise3x"]
    for model, zero in (("se", "conservative"), ("pro", "conservative"), ("fast", "conservative")):
        assert [noise_named(model, n) for n in range(-1, 4)] == ["no-denoise", zero, *levels]
    for model in ("waifu2x", "waifu2x-anime", "waifu2x-photo"):
        assert [noise_named(model, n) for n in range(-1, 4)] == ["no-denoise", "denoise0x", *levels]
        assert all(find(model=model, scale=2, noise=noise_named(model, n)) for n in range(-1, 4))


def test_each_model_has_its_defaults() -> None:
    assert {model: (scales(model), default_scale(model), default_noise(model)) for model in models()} == {
        "se": ((2, 3, 4), 2, "no-denoise"),
        "pro": ((2, 3), 2, "no-denoise"),
        "fast": ((1, 2), 2, "no-denoise"),
        "waifu2x": ((1, 2), 2, "denoise0x"),
        "waifu2x-anime": ((2,), 2, "denoise0x"),
        "waifu2x-photo": ((2,), 2, "denoise0x"),
        "realesrgan-animevideo": ((2, 3, 4), 2, None),
        "realesrgan-anime": ((4,), 4, None),
        "realesrgan": ((4,), 4, None),
    }
    for model in models():
        find(model=model, scale=default_scale(model), noise=default_noise(model))


def test_each_package_has_its_licence_and_extra() -> None:
    assert {(row.package.rpartition("-")[2], row.extra, row.licence) for row in rows()} == {
        ("realcugan", None, "MIT"),
        ("vscugan", None, "MIT"),
        ("waifu2x", "waifu2x", "MIT"),
        ("realesrgan", "realesrgan", "BSD-3-Clause"),
    }
