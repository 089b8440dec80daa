"""The colour path with the network replaced by a plain enlargement, against resize alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.clips import MAKE, differences
from support.frames import chroma_edge, edge_position, planes

from vscugan.clip import colour

YUV_FORMATS = [
    vs.YUV420P8, vs.YUV422P8, vs.YUV444P8, vs.YUV440P8, vs.YUV411P8, vs.YUV410P8,
    vs.YUV420P10, vs.YUV422P10, vs.YUV444P10, vs.YUV420P16, vs.YUV422P16, vs.YUV444P16,
    vs.YUV420PS, vs.YUV422PS, vs.YUV444PS, vs.YUV420PH, vs.YUV444PH,
]  # fmt: skip


def tolerance(format: vs.VideoFormat) -> float:
    """1 code at 8 bit; above, what resize's own float round trip leaves."""
    if format.sample_type == vs.FLOAT:
        return 2e-3 if format.bits_per_sample == 16 else 1e-5
    return 1 if format.bits_per_sample == 8 else 2


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("format", YUV_FORMATS, ids=lambda f: vs.core.get_video_format(f).name)
@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [False, True])
def test_yuv_against_resize(
    format: int, matrix: int, full: bool, core: Any, art_clip: MAKE
) -> None:
    locations = range(6) if core.get_video_format(format).name == "YUV420P8" else (0, 1)
    words = "full" if full else "limited"
    for location in locations:
        source = core.resize.Spline36(art_clip(64, 48), format=format, matrix=matrix, range_s=words, chromaloc=location)
        rgb = core.resize.Spline36(source, format=vs.RGBS)
        big = core.resize.Point(rgb, 128, 96)
        wanted = core.resize.Spline36(big, format=format, matrix=matrix, range_s=words, chromaloc=location)
        got = core.cugan.Upscale(source)
        assert differences(got.get_frame(0), wanted.get_frame(0)) <= tolerance(source.format)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("format", [vs.RGB24, vs.RGB30, vs.RGB48, vs.RGBH, vs.RGBS])
@pytest.mark.parametrize("full", [False, True])
def test_rgb_comes_back_as_it_was(format: int, full: bool, core: Any, art_clip: MAKE) -> None:
    source = core.resize.Spline36(art_clip(63, 47), format=format, range_s="full" if full else "limited")
    got = core.cugan.Upscale(source)
    wanted = core.resize.Point(source, 126, 94)
    assert differences(got.get_frame(0), wanted.get_frame(0)) <= (1e-3 if format == vs.RGBH else 1e-6)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("format", [vs.GRAY8, vs.GRAY10, vs.GRAY16, vs.GRAYH, vs.GRAYS])
@pytest.mark.parametrize("matrix", [None, 0, 1, 6])
def test_gray_comes_back_as_it_was(
    format: int, matrix: int | None, core: Any, art_clip: MAKE
) -> None:
    source = core.resize.Spline36(art_clip(63, 47), format=format, matrix=1)
    source = source.std.RemoveFrameProps("_Matrix")
    if matrix is not None:
        source = source.std.SetFrameProps(_Matrix=matrix)
    got = core.cugan.Upscale(source)
    wanted = core.resize.Point(source.std.RemoveFrameProps("_Matrix"), 126, 94)
    assert differences(got.get_frame(0), wanted.get_frame(0)) <= max(tolerance(source.format), 1e-5)
    assert got.get_frame(0).props.get("_Matrix") == matrix


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(("width", "height", "matrix"), [(640, 360, 6), (720, 576, 6), (1280, 536, 1), (64, 720, 1)])
@pytest.mark.parametrize("unspecified", [None, 0, 2])
def test_an_unspecified_matrix_is_decided_by_size_and_written(
    width: int, height: int, matrix: int, unspecified: int | None, core: Any
) -> None:
    source = core.std.BlankClip(format=vs.YUV444P8, width=width, height=height, color=[81, 90, 240], length=1)
    if unspecified is not None:
        source = source.std.SetFrameProps(_Matrix=unspecified)
    frame = core.cugan.Upscale(source).get_frame(0)
    assert frame.props["_Matrix"] == matrix
    assert [int(p[0, 0]) for p in planes(frame)] == [81, 90, 240]


#: values that the resizer refuses although they mean nothing, and what they are taken as: by YUV and gray, by RGB
MEANINGLESS = [
    ("_Primaries", 0, 2, 2), ("_Primaries", 3, 2, 2), ("_Primaries", -1, 2, 2), ("_Transfer", 0, 2, 2),
    ("_Transfer", 3, 2, 2), ("_ChromaLocation", 9, 0, 0), ("_Range", 2, 0, 1),
]  # fmt: skip


def logged(core: Any, clip: vs.VideoNode) -> list[str]:
    """The lines of the core's log that name a frame prop, while the clip's frames are made."""
    lines: list[str] = []
    handler = core.add_log_handler(lambda _, text: lines.append(text))
    try:
        for frame in clip.frames():
            frame.close()
    finally:
        core.remove_log_handler(handler)
    return [line for line in lines if line.startswith("cugan.Upscale: _")]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(("name", "value", "for_yuv", "for_rgb"), MEANINGLESS)
@pytest.mark.parametrize("format", [vs.YUV420P8, vs.YUV444PS, vs.RGB24, vs.RGBS, vs.GRAY8])
def test_props_that_mean_nothing_are_as_good_as_unspecified(
    name: str, value: int, for_yuv: int, for_rgb: int, format: int, core: Any, art_clip: MAKE
) -> None:
    family = core.get_video_format(format).color_family
    taken = for_rgb if family == vs.RGB else for_yuv
    clip = core.resize.Spline36(art_clip(32, 16, 2), format=format, matrix=None if family == vs.RGB else 1)
    for arguments in ({}, {"width": 48, "linear": 1}, {"format": vs.YUV444P8}):
        got, wanted = (
            core.cugan.Upscale(clip.std.SetFrameProps(**{name: v}), **arguments) for v in (value, taken)
        )
        lines = logged(core, got)
        source_name = {"Gray8": "GRAY8", "GrayS": "GRAYS"}.get(clip.format.name, clip.format.name)
        text = f"cugan.Upscale: {name}={value} means nothing for {source_name}: taken as {taken}"
        assert [line for line in lines if name in line] == [text]
        assert differences(got.get_frame(1), wanted.get_frame(1)) == 0
        assert dict(got.get_frame(1).props) == dict(wanted.get_frame(1).props)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("format", [vs.RGB24, vs.RGBS])
@pytest.mark.parametrize("matrix", [1, 3, 10, 14, 255])
def test_a_matrix_means_nothing_for_rgb(
    format: int, matrix: int, core: Any, art_clip: MAKE
) -> None:
    clip = core.resize.Spline36(art_clip(64, 48), format=format)
    for arguments in ({}, {"format": vs.YUV444P8}, {"width": 96, "linear": 1}):
        got = core.cugan.Upscale(clip.std.SetFrameProps(_Matrix=matrix), **arguments)
        lines = logged(core, got)
        assert lines == [f"cugan.Upscale: _Matrix={matrix} means nothing for {clip.format.name}: taken as 0"]
        wanted = core.cugan.Upscale(clip.std.SetFrameProps(_Matrix=0), **arguments)
        assert differences(got.get_frame(0), wanted.get_frame(0)) == 0
        assert dict(got.get_frame(0).props) == dict(wanted.get_frame(0).props)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("format", [vs.GRAY8, vs.GRAYS])
@pytest.mark.parametrize("matrix", [3, 10, 12, 13, 14, 255])
def test_gray_keeps_any_matrix(
    format: int, matrix: int, core: Any, art_clip: MAKE
) -> None:
    clip = core.resize.Spline36(art_clip(64, 48), format=format, matrix=1).std.SetFrameProps(_Matrix=matrix)
    assert core.cugan.Upscale(clip, width=96, linear=1).get_frame(0).props["_Matrix"] == matrix
    got, wanted = core.cugan.Upscale(clip), core.resize.Point(clip.std.RemoveFrameProps("_Matrix"), 128, 96)
    assert got.get_frame(0).props["_Matrix"] == matrix
    assert differences(got.get_frame(0), wanted.get_frame(0)) <= (1 if format == vs.GRAY8 else 1e-5)
    yuv = core.cugan.Upscale(clip, format=vs.YUV444P8).get_frame(0)
    assert yuv.props["_Matrix"] == 6


#: props, and how a YUV frame with them is refused
REFUSED = [
    ({"_Matrix": 10}, "_Transfer must be one of 1, 6, 7, 14, 15 where _Matrix is 10, got 2"),
    ({"_Matrix": 12}, "_Primaries must be one of 1, 4, 5, 6, 7, 8, 9, 11, 12, 22 where _Matrix is 12, got 2"),
    (
        {"_Matrix": 13, "_Primaries": 9},
        "_Transfer must be one of 1, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18 where _Matrix is 13, got 2",
    ),
    (
        {"_Matrix": 13, "_Transfer": 1, "_Primaries": 10},
        "_Primaries must be one of 1, 4, 5, 6, 7, 8, 9, 11, 12, 22 where _Matrix is 13, got 10",
    ),
    ({"_Matrix": 14, "_Primaries": 9}, "_Transfer must be one of 16, 18 where _Matrix is 14, got 2"),
    ({"_Matrix": 14, "_Transfer": 16}, "_Primaries must be 9 where _Matrix is 14, got 2"),
]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(("props", "text"), REFUSED, ids=str)
def test_a_matrix_without_what_defines_it_is_refused(props: dict[str, int], text: str, core: Any) -> None:
    good = core.std.BlankClip(format=vs.YUV444P8, width=64, height=48, length=1).std.SetFrameProps(_Matrix=1)
    bad = good.std.SetFrameProps(**props)
    later = core.cugan.Upscale(good + bad)
    for call in (partial(core.cugan.Upscale, bad), partial(later.get_frame, 1)):
        with pytest.raises(vs.Error) as error:
            call()
        assert str(error.value) == f"cugan.Upscale: {text}; set what is wrong with std.SetFrameProps"


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("matrix", colour.KNOWN_MATRICES)
def test_every_matrix_that_is_taken_is_one_that_the_resizer_takes(matrix: int, core: Any) -> None:
    """Over all the transfers and primaries that it knows, there and back."""
    clip = core.std.BlankClip(format=vs.YUV444PS, width=16, height=16, length=1, color=[0.5, 0.1, -0.1])
    for transfer in colour.MEANINGFUL["_Transfer"]:
        for primaries in (2, 9, 10) if matrix in colour.MATRIX_NEEDS else (2,):
            marked = clip.std.SetFrameProps(_Matrix=matrix, _Transfer=transfer, _Primaries=primaries)
            try:
                there = core.resize.Spline36(marked, format=vs.RGBS)
                core.resize.Spline36(there, format=vs.YUV444PS, matrix=matrix).get_frame(0).close()
            except vs.Error:
                with pytest.raises(vs.Error, match=f"where _Matrix is {matrix}, got"):
                    core.cugan.Upscale(marked)
            else:
                core.cugan.Upscale(marked).get_frame(0).close()


@pytest.mark.usefixtures("plain")
def test_chroma_is_not_shifted(core: Any) -> None:
    """A chroma edge keeps its place to under 0.05 px, for left, centre and top-left siting."""
    edge = core.std.StackHorizontal(
        [
            core.std.BlankClip(format=vs.YUV444PS, width=32, height=32, color=[0.5, value, 0], length=1)
            for value in (-0.2, 0.2)
        ]
    )
    for location in (0, 1, 2):
        source = edge.resize.Bicubic(format=vs.YUV420PS, chromaloc=location).std.SetFrameProps(_Matrix=1)
        big = core.cugan.Upscale(source).resize.Bicubic(format=vs.YUV444PS)
        row = planes(big.get_frame(0))[1][32]
        position = float(np.sum(0.2 - row) / 0.4)  # px of the low side
        assert abs(position - 64) < 0.05 * 2


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("format", [vs.YUV420P8, vs.YUV444P16, vs.RGB24, vs.GRAY16, vs.RGBS])
@pytest.mark.parametrize("transfer", [1, 13, 16, 18])
@pytest.mark.parametrize("kernel", ["Spline36", "Lanczos", "Bicubic"])
@pytest.mark.parametrize("linear", [False, True])
def test_the_downscale_against_resize(
    format: int, transfer: int, kernel: str, linear: bool, core: Any, art_clip: MAKE
) -> None:
    matrix = None if core.get_video_format(format).color_family == vs.RGB else 9
    source = core.resize.Spline36(art_clip(64, 48), format=format, matrix=matrix).std.SetFrameProps(_Transfer=transfer)
    rgb = core.resize.Spline36(source, format=vs.RGBS, matrix_in=matrix)
    big = core.resize.Point(rgb, 128, 96)
    if linear:
        big = core.resize.Point(big, transfer_in=transfer, transfer_s="linear", approximate_gamma=0)
    small = getattr(core.resize, kernel)(big, 84, 64)
    if linear:
        small = core.resize.Point(small, transfer_in_s="linear", transfer=transfer, approximate_gamma=0)
    wanted = core.resize.Spline36(small, format=format, matrix=matrix)
    got = core.cugan.Upscale(source, width=84, height=64, kernel=kernel.lower(), linear=linear)
    if format == vs.YUV420P8:  # chroma is resampled once, not twice: compare luma
        got, wanted = (c.std.ShufflePlanes(0, vs.GRAY) for c in (got, wanted))
    assert differences(got.get_frame(0), wanted.get_frame(0)) <= (2 if source.format.sample_type == 0 else 1e-5)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("arguments", [{"scale": 1}, {"scale": 1.5}, {"width": 96, "height": 64, "kernel": "area"}])
@pytest.mark.parametrize("location", range(6))
def test_chroma_of_any_size_lies_where_resize_puts_it(location: int, arguments: dict[str, Any], core: Any) -> None:
    """A step in U, across and down: under 0.05 px from resize's."""
    for upright in (True, False):
        source = core.resize.Bicubic(chroma_edge(core, upright), format=vs.YUV420PS, chromaloc=location)
        source = source.std.SetFrameProps(_Matrix=1)
        got = core.cugan.Upscale(source, **arguments)
        wanted = core.resize.Spline36(source, got.width, got.height)
        assert abs(edge_position(got, upright) - edge_position(wanted, upright)) < 0.05
