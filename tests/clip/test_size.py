"""Output sizes and sample aspect ratios, without a clip and with one."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from hypothesis import given
from hypothesis import strategies as st
from support.clips import MAKE
from support.frames import planes

import vscugan
from vscugan.clip.size import output_sar, output_size, sar_props
from vscugan.clip.video_format import RGBS, VideoFormat
from vscugan.errors import ArgumentError
from vscugan.settings import validate

YUV420 = VideoFormat(color_family=3, sample_type=0, bits=8, subsampling_w=1, subsampling_h=1)
YUV410 = VideoFormat(color_family=3, sample_type=0, bits=8, subsampling_w=2, subsampling_h=2)
ONE = Fraction(1)
P8, P10, C444, C422 = vs.YUV420P8, vs.YUV420P10, vs.YUV444P8, vs.YUV422P8

#: arguments, source (width, height), SAR, format, and what must come out: (width, height), SAR (None: no props)
SIZES: list[tuple[dict[str, Any], tuple[int, int], str | None, int, tuple[int, int], str | None]] = [
    ({}, (64, 48), None, P8, (128, 96), None),
    ({"scale": 1}, (64, 48), None, P8, (64, 48), None),
    ({"scale": 1}, (63, 47), "8/9", C444, (63, 47), "8/9"),
    ({"scale": 1.5}, (64, 48), None, P8, (96, 72), None),
    ({"scale": 1.5}, (62, 46), None, P8, (94, 70), None),  # 93x69 is not for 4:2:0
    ({"scale": 2.25}, (63, 47), None, vs.RGB24, (142, 106), None),
    ({"scale": 3}, (63, 47), "16/15", C444, (189, 141), "16/15"),
    ({"scale": 4}, (33, 17), None, vs.GRAY8, (132, 68), None),
    ({"scale": 5}, (32, 24), None, P10, (160, 120), None),
    ({"scale": 8}, (16, 12), "4/3", P8, (128, 96), "4/3"),
    ({"width": 96}, (64, 48), None, P8, (96, 72), None),
    ({"width": 97}, (64, 48), None, C444, (97, 73), None),
    ({"height": 81}, (64, 48), None, C422, (108, 81), None),
    ({"height": 108}, (72, 48), "8/9", P8, (144, 108), "1/1"),  # 4:3 DVD
    ({"height": 108}, (72, 48), "32/27", P8, (192, 108), "1/1"),  # 16:9 DVD
    ({"width": 192}, (72, 57), "64/45", C444, (192, 107), "1/1"),  # 16:9 PAL, odd height
    ({"width": 192, "height": 108}, (144, 108), "4/3", P8, (192, 108), "1/1"),  # HDV
    ({"width": 144, "height": 96}, (72, 48), "32/27", P8, (144, 96), "32/27"),
    ({"width": 64, "height": 96}, (64, 48), None, P8, (64, 96), "2/1"),
    ({"width": 48}, (64, 48), None, P8, (48, 36), None),  # smaller than the source
]


@pytest.mark.parametrize(
    ("arguments", "source", "sar", "format", "size"),
    [
        ({"height": 1080}, (720, 480), Fraction(8, 9), YUV420, (1440, 1080)),
        ({"height": 1080}, (720, 480), Fraction(32, 27), YUV420, (1920, 1080)),
        ({"height": 1080}, (720, 576), Fraction(16, 15), YUV420, (1440, 1080)),
        ({"width": 1920}, (854, 480), ONE, YUV420, (1920, 1080)),
        ({"width": 1280}, (853, 480), ONE, RGBS, (1280, 720)),
        ({"width": 1279}, (640, 360), ONE, RGBS, (1279, 719)),
        ({"width": 1920, "height": 1080}, (1440, 1080), Fraction(4, 3), YUV420, (1920, 1080)),
        ({"scale": 1.5}, (640, 360), ONE, YUV420, (960, 540)),
        ({"scale": 2.25}, (854, 480), ONE, YUV420, (1922, 1080)),
        ({"scale": 1.5}, (63, 47), ONE, RGBS, (95, 71)),
        ({"scale": 1.1}, (64, 48), ONE, YUV410, (72, 52)),
        ({"scale": 3}, (63, 47), ONE, RGBS, (189, 141)),
    ],
)
def test_sizes(arguments, source, sar, format, size) -> None:  # type: ignore[no-untyped-def]
    assert output_size(validate(**arguments), source, sar, format) == size


@pytest.mark.parametrize(
    ("arguments", "format", "text"),
    [
        ({"width": 1279}, YUV420, "width must be a multiple of 2 for YUV420P8, got 1279; use 1278 or 1280"),
        ({"height": 717}, YUV410, "height must be a multiple of 4 for YUV410P8, got 717; use 716 or 720"),
        ({"width": 3, "height": 4}, YUV410, "width must be a multiple of 4 for YUV410P8, got 3; use 4"),
    ],
)
def test_sizes_that_the_format_forbids(arguments: dict[str, Any], format: VideoFormat, text: str) -> None:
    with pytest.raises(ArgumentError) as error:
        output_size(validate(**arguments), (640, 360), ONE, format)
    assert str(error.value) == f"{text}, or a format with full-resolution chroma"


@pytest.mark.parametrize("size", [10242, 10243, 2147483647])
@pytest.mark.parametrize("format", [YUV420, RGBS])
def test_a_size_beyond_16_times_is_told_the_largest_that_fits(size: int, format: VideoFormat) -> None:
    with pytest.raises(ArgumentError) as error:
        output_size(validate(width=size), (640, 360), ONE, format)
    assert str(error.value) == f"width must be at most 16 times the source's 640, got {size}; use 10240 or less"
    assert output_size(validate(width=10240), (640, 360), ONE, format) == (10240, 5760)


def test_a_whole_scale_is_exact_or_an_error() -> None:
    with pytest.raises(ArgumentError) as error:
        output_size(validate(scale=3), (63, 47), ONE, YUV420)
    assert str(error.value) == (
        "width must be a multiple of 2 for YUV420P8, got 189; use 188 or 190, or a format with full-resolution chroma"
    )


@given(
    width=st.integers(16, 4000),
    height=st.integers(16, 4000),
    sar=st.fractions(Fraction(1, 2), Fraction(2), max_denominator=100),
    scale=st.floats(1, 4),
    subsampling=st.integers(0, 2),
    by_width=st.booleans(),
)
def test_the_display_shape_is_kept(  # type: ignore[no-untyped-def]
    width, height, sar, scale, subsampling, by_width
) -> None:
    """Within half a step of the subsampling on one axis, whatever the size."""
    format = VideoFormat(color_family=3, sample_type=0, bits=8, subsampling_w=subsampling, subsampling_h=subsampling)
    step = 1 << subsampling
    arguments = {"width": int(width * scale) // step * step} if by_width else {"scale": scale}
    try:
        size = output_size(validate(**arguments), (width, height), sar, format)
    except ArgumentError:
        return  # beyond 16 times, or a whole scale that the subsampling forbids
    after = output_sar(sar, (width, height), size, format)
    shape, got = sar * width / height, after * size[0] / size[1]
    near = max(Fraction(step, 2) / size[0], Fraction(step, 2) / size[1]) + Fraction(1, 10_000)
    assert abs(got / shape - 1) <= near * (1 + near)


def test_sar_props() -> None:
    dvd = {"_SARNum": 8, "_SARDen": 9}
    assert sar_props(dvd, (720, 480), (1440, 960), YUV420) == {}
    assert sar_props(dvd, (720, 480), (1440, 1080), YUV420) == {"_SARNum": 1, "_SARDen": 1}
    assert sar_props(dvd, (720, 480), (720, 960), YUV420) == {"_SARNum": 16, "_SARDen": 9}
    assert sar_props({}, (640, 360), (1280, 720), YUV420) == {}
    assert sar_props({}, (640, 360), (1280, 360), YUV420) == {"_SARNum": 1, "_SARDen": 2}
    assert sar_props({"_SARNum": 0, "_SARDen": 0}, (640, 360), (960, 540), YUV420) == {}
    limited = output_sar(Fraction(65535, 65534), (3999, 3997), (1111, 3333), RGBS)
    assert max(limited.numerator, limited.denominator) <= 65535


@pytest.mark.parametrize(("arguments", "source", "sar", "format", "size", "sar_out"), SIZES, ids=str)
def test_size_and_display_shape(
    arguments: dict[str, Any], source: tuple[int, int], sar: str | None, format: int, size: tuple[int, int],
    sar_out: str | None, core: Any, art_clip: MAKE,
) -> None:  # fmt: skip
    matrix = 1 if core.get_video_format(format).color_family == vs.YUV else None
    grey = core.get_video_format(format).color_family == vs.GRAY
    clip = core.resize.Spline36(art_clip(*source), format=format, matrix=1 if grey else matrix)
    if sar:
        clip = clip.std.SetFrameProps(_SARNum=int(sar.split("/")[0]), _SARDen=int(sar.split("/")[1]))
    up = core.cugan.Upscale(clip, noise="conservative", **arguments)
    frame = up.get_frame(0)
    assert (up.width, up.height) == (frame.width, frame.height) == size
    assert frame.format.id == format
    got = (frame.props.get("_SARNum"), frame.props.get("_SARDen"))
    assert got == (tuple(map(int, sar_out.split("/"))) if sar_out else (None, None))
    shape = Fraction(sar or "1/1") * Fraction(*source)
    shown = Fraction(sar_out or "1/1") * Fraction(*size)
    step = 1 << max(frame.format.subsampling_w, frame.format.subsampling_h)
    assert abs(shown / shape - 1) <= Fraction(step, 2 * min(size))
    # and it is the same picture: resize to the same size is near
    plain = core.resize.Spline36(clip, *size).get_frame(0)
    assert abs(np.mean(planes(frame)[0].astype(float) - planes(plain)[0])) < (8 if format == P10 else 2)


def test_a_size_that_a_scale_gives_is_that_scale(core: Any, art_clip: MAKE) -> None:
    clip = core.resize.Spline36(art_clip(64, 48), format=vs.YUV420P8, matrix=1)
    scaled = planes(core.cugan.Upscale(clip).get_frame(0))
    for arguments in ({"width": 128}, {"height": 96}, {"width": 128, "height": 96}, {"scale": 2.0}):
        sized = planes(vscugan.upscale(clip, **arguments).get_frame(0))
        assert all(np.array_equal(a, b) for a, b in zip(scaled, sized, strict=True))
