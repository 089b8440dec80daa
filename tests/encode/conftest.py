"""Fixtures of the encode's tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs
from support import media

from vscugan.encode.encoders.stream_format import StreamFormat, stream_format_of

HDR_PROPS = {
    "_Matrix": 9, "_Primaries": 9, "_Transfer": 16, "_Range": 0, "_ChromaLocation": 2, "_SARNum": 8, "_SARDen": 9,
    "MasteringDisplayPrimariesX": [0.68, 0.265, 0.15], "MasteringDisplayPrimariesY": [0.32, 0.69, 0.06],
    "MasteringDisplayWhitePointX": 0.3127, "MasteringDisplayWhitePointY": 0.329,
    "MasteringDisplayMinLuminance": 0.005, "MasteringDisplayMaxLuminance": 1000.0,
    "ContentLightLevelMax": 1000, "ContentLightLevelAverage": 400,
}  # fmt: skip


@pytest.fixture
def hdr(core: Any) -> StreamFormat:
    """HDR10, 64x48 px of 10 bit."""
    clip = core.std.BlankClip(format=vs.YUV420P10, width=64, height=48, length=1)
    return stream_format_of(clip, HDR_PROPS, Fraction(24000, 1001))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a script that needs no network."""
    (tmp_path / "resize.vpy").write_text(media.RESIZE)
    return tmp_path
