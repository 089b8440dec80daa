"""What a call in a script becomes for Python: lists or not as the rows say, and the clips as their videos."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import vapoursynth as vs
from support.clips import MAKE, message

import vscugan.clip.filter as filter_module
from vscugan.errors import ArgumentError
from vscugan.settings import OPTIONS

#: what a script gives for an argument of each type, and what Python is handed
VALUES: dict[str, tuple[Any, Any]] = {
    "float": (2.5, 2.5),
    "int": (3, 3),
    "data": ("text", "text"),
    "int[]": (3, [3]),
    "data[]": ("text", ["text"]),
}


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of the last call, which goes no further."""
    seen: dict[str, Any] = {}

    def refuse(**given: Any) -> None:
        seen.update(given)
        raise ArgumentError("enough")

    monkeypatch.setattr(filter_module, "validate", refuse)
    return seen


def test_lists_go_to_the_arguments_that_may_be_lists(core: Any, art_clip: MAKE, handed: dict[str, Any]) -> None:
    given = {name: VALUES[option.type] for name, option in OPTIONS.items()}
    assert {option.type for option in OPTIONS.values()} == set(VALUES)
    with pytest.raises(vs.Error, match="enough"):
        core.cugan.Upscale(art_clip(), **{name: value for name, (value, _) in given.items()})
    assert handed == {name: expected for name, (_, expected) in given.items()}


def test_values_come_through_as_they_are(core: Any, art_clip: MAKE, handed: dict[str, Any]) -> None:
    """The ends of 64 bits, a text of two bytes a letter or with a NUL in it, and an order that is not sorted."""
    given: dict[str, Any] = {
        "tile": [2**63 - 1, -(2**63)], "device": ["ü:1", "", "a\0b"], "noise": "a\0ü", "scale": float("inf"),
        "memory": -(2**63),
    }  # fmt: skip
    with pytest.raises(vs.Error, match="enough"):
        core.cugan.Upscale(art_clip(), alpha_clip=art_clip(), **given)
    assert handed == given


def test_a_text_that_is_none_is_refused(core: Any, art_clip: MAKE, handed: dict[str, Any]) -> None:
    with pytest.raises(vs.Error) as error:
        core.cugan.Upscale(art_clip(), noise=b"\xff")
    assert str(error.value) == "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"
    assert not handed


def test_clips_are_handed_over_as_videos(core: Any, art_clip: MAKE, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, ...]] = []

    def create(arguments: dict[str, Any], video: object, alpha: object, props: object, log: object) -> None:
        seen.append((video, alpha, props))
        raise RuntimeError("enough")

    monkeypatch.setattr(filter_module, "create", create)
    blank = core.std.BlankClip(format=vs.YUV410P8, width=32, height=16, length=3)
    other = core.std.BlankClip(format=vs.YUV410P8, width=64, height=16, length=2)
    gray = core.std.BlankClip(format=vs.GRAYH, width=8, height=24, length=7)
    marked = blank.std.SetFrameProps(_Matrix=6, _FieldBased=2, Other=5)
    for clip, arguments in (
        (marked, {}),
        (blank, {"alpha_clip": gray}),
        (core.std.Splice([blank, other], mismatch=True), {}),
        (core.std.Splice([blank, gray], mismatch=True), {}),
    ):
        assert message(partial(core.cugan.Upscale, clip, **arguments)) == "enough"
    first, with_alpha, sizes, formats = seen
    assert first[:2] == ((32, 16, vs.YUV, vs.INTEGER, 8, 2, 2, 3), None)
    assert first[2].items() >= {"_Matrix": 6, "_FieldBased": 2}.items()  # type: ignore[attr-defined]
    assert "Other" not in first[2]  # type: ignore[operator]
    assert with_alpha[:2] == ((32, 16, vs.YUV, vs.INTEGER, 8, 2, 2, 3), (8, 24, vs.GRAY, vs.FLOAT, 16, 0, 0, 7))
    assert sizes[0] == (0, 0, vs.YUV, vs.INTEGER, 8, 2, 2, 5)
    assert formats[0] == (0, 0, 0, 0, 0, 0, 0, 10)
    assert formats[2] == {}  # no frame was asked for
