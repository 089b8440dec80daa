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
            "model=pro exists only for scale=2 and scale=3, got scale=4; use model=se",
        ),
        (
            {"model": "pro", "scale": 2, "noise": "denoise2x"},
            "noise=denoise2x exists only for model=se, got model=pro; use conservative, no-denoise or denoise3x",
        ),
    ],
)
def test_a_model_that_does_not_exist_names_those_that_do(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        find(**arguments)  # type: ignore[arg-type]
    assert str(error.value) == message
