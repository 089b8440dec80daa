"""Any format in, the same or another one out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.clips import MAKE
from support.frames import planes

FORMATS = [
    vs.YUV420P8, vs.YUV422P10, vs.YUV444P16, vs.YUV440P8, vs.YUV411P8, vs.YUV410P8, vs.YUV420PH, vs.YUV444PS,
    vs.RGB24, vs.RGB48, vs.RGBH, vs.RGBS, vs.GRAY8, vs.GRAY16, vs.GRAYH, vs.GRAYS,
]  # fmt: skip


@pytest.mark.parametrize("format", FORMATS, ids=lambda f: vs.core.get_video_format(f).name)
def test_any_format_comes_back_in_its_own(format: int, core: Any, art_clip: MAKE) -> None:
    family = core.get_video_format(format).color_family
    source = core.resize.Spline36(art_clip(64, 48), format=format, matrix=None if family == vs.RGB else 1)
    frame = core.cugan.Upscale(source, noise="conservative").get_frame(0)
    assert (frame.width, frame.height, frame.format.id) == (128, 96, format)
    # back at the source's size it is the source's picture
    for ours, theirs in zip(planes(frame), planes(source.get_frame(0)), strict=True):
        height, width = theirs.shape
        small = ours.astype(np.float64).reshape(height, 2, width, 2).mean(axis=(1, 3))
        peak = 1.0 if source.format.sample_type == vs.FLOAT else 2.0**source.format.bits_per_sample - 1
        assert np.abs(small - theirs).mean() / peak < 0.03  # leaves in full contrast: RGB has 0.024
        assert abs((small - theirs).mean()) / peak < 0.005  # no cast


@pytest.mark.parametrize(
    ("format", "width", "height"),
    [
        (vs.GRAY8, 1, 1), (vs.RGB24, 1, 1), (vs.YUV444P8, 1, 1), (vs.YUV420P8, 2, 2), (vs.YUV410P8, 4, 4),
        (vs.YUV422P8, 2, 1), (vs.YUV444P8, 63, 47), (vs.YUV420P8, 62, 46),
    ],
)  # fmt: skip
def test_small_and_odd_sizes(format: int, width: int, height: int, core: Any) -> None:
    source = core.std.BlankClip(format=format, width=width, height=height, length=1)
    for scale in (2, 3):
        if width * scale % (1 << source.format.subsampling_w) == 0:
            frame = core.cugan.Upscale(source, scale=scale).get_frame(0)
            assert (frame.width, frame.height) == (width * scale, height * scale)


@pytest.mark.usefixtures("plain")
def test_format_changes_describe_themselves(core: Any, art_clip: MAKE) -> None:
    source = core.resize.Spline36(art_clip(64, 48), format=vs.YUV420P8, matrix=1).std.SetFrameProps(Other=7)
    rgb = core.cugan.Upscale(source, format=vs.RGB48).get_frame(0)
    assert (rgb.format.id, rgb.props["_Matrix"], rgb.props["Other"]) == (vs.RGB48, 0, 7)
    deep = core.cugan.Upscale(source, format=vs.YUV444P16).get_frame(0)
    assert (deep.format.id, deep.props["_Matrix"]) == (vs.YUV444P16, 1)
    yuv = core.cugan.Upscale(art_clip(64, 48), format=vs.YUV420P10).get_frame(0)
    assert (yuv.format.id, yuv.props["_Matrix"]) == (vs.YUV420P10, 6)
