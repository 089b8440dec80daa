"""Output sizes and sample aspect ratios, without a clip."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vscugan.clip.size import output_sar, output_size, sar_props
from vscugan.clip.video_format import RGBS, VideoFormat
from vscugan.errors import ArgumentError
from vscugan.settings import validate

YUV420 = VideoFormat(color_family=3, sample_type=0, bits=8, subsampling_w=1, subsampling_h=1)
YUV410 = VideoFormat(color_family=3, sample_type=0, bits=8, subsampling_w=2, subsampling_h=2)
ONE = Fraction(1)


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
def test_sizes_that_the_format_forbids(arguments: dict[str, int], format: VideoFormat, text: str) -> None:
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
