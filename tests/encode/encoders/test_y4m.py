"""Frames as y4m."""

from __future__ import annotations

from typing import Any

import vapoursynth as vs

from vscugan.encode.encoders import y4m
from vscugan.encode.encoders.stream_format import StreamFormat


def test_y4m_as_vspipe_writes_it(hdr: StreamFormat, core: Any) -> None:
    assert y4m.header(hdr) == b"YUV4MPEG2 W64 H48 F24000:1001 Ip A8:9 C420p10 XCOLORRANGE=LIMITED\n"
    clip = core.std.BlankClip(format=vs.YUV420P8, width=65 - 1, height=48, length=1, color=[1, 2, 3])
    with clip.get_frame(0) as frame:
        planes = [bytes(plane) for plane in y4m.planes(frame)]
    assert planes == [b"\1" * 64 * 48, b"\2" * 32 * 24, b"\3" * 32 * 24]
