"""What an encoder is refused for."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import vapoursynth as vs
from support.encoders import program

from vscugan.encode.encoders.programs import check_format
from vscugan.encode.encoders.stream_format import stream_format_of
from vscugan.errors import ArgumentError


def test_formats_that_an_encoder_does_not_take(core: Any) -> None:
    clip = core.std.BlankClip(format=vs.YUV444P16, width=64, height=48, length=1)
    stream_format = stream_format_of(clip, {}, Fraction(24))
    with pytest.raises(ArgumentError) as error:
        check_format(program("svt-av1", True), stream_format)
    assert str(error.value) == "format must be one that svt-av1 takes, got YUV444P16; say --format YUV420P10"
    check_format(program("ffv1", True), stream_format)
