"""The options of Upscale on the command line."""

from __future__ import annotations

import pytest

from vscugan.cli.options import format_name


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("yuv420p10le", "YUV420P10"), ("yuv420p", "YUV420P8"), ("yuv444p16", "YUV444P16"), ("gray", "GRAY8"),
        ("gray16le", "GRAY16"), ("gbrp", "RGB24"), ("gbrp10le", "RGB30"), ("rgb48le", "RGB48"), ("p010le", "YUV420P10"),
        ("gbrpf32le", "RGBS"), ("YUV420P10", "YUV420P10"), ("yuv444ps", "yuv444ps"), ("yuv420p10be", "yuv420p10be"),
    ],
)  # fmt: skip
def test_formats_have_ffmpeg_s_names_too(theirs: str, ours: str) -> None:
    assert format_name(theirs) == ours
