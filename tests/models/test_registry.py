"""The rows of the released models."""

from __future__ import annotations

import pytest

from vscugan.errors import ArgumentError
from vscugan.models.registry import find


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
            "noise=denoise2x exists only for model=se, model=waifu2x, model=waifu2x-anime and model=waifu2x-photo, "
            "got model=pro; use conservative, no-denoise or denoise3x",
        ),
        (
            {"model": "waifu2x", "scale": 1, "noise": "no-denoise"},
            "noise=no-denoise exists only for scale=2, got scale=1; use denoise0x, denoise1x, denoise2x or denoise3x",
        ),
        (
            {"model": "realesrgan", "scale": 4, "noise": "denoise1x"},
            "noise must be left out for model=realesrgan, got denoise1x; it has no noise levels",
        ),
    ],
)
def test_a_model_that_does_not_exist_names_those_that_do(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        find(**arguments)  # type: ignore[arg-type]
    assert str(error.value) == message
