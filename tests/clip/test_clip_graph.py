"""core.cugan.Upscale as scripts use it: props, order, chains, depth and place of what comes out."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.clips import MAKE, equal
from support.frames import DATA, chroma_edge, edge_position, painted, planes


def test_props_in_are_props_out_on_every_frame(core: Any, art_clip: MAKE) -> None:
    def tag(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        out.props.update(
            _Matrix=(1, 6, 9)[n % 3], _Range=n % 2, _ChromaLocation=n % 3, _Primaries=(1, 6, 9)[n % 3],
            _Transfer=(1, 6, 16)[n % 3], _SARNum=4 + n, _SARDen=3, _DurationNum=1001, _DurationDen=24000 + n,
            _PictType="IPB"[n % 3], _FieldBased=0, _AbsoluteTime=n / 24, Text=f"frame {n}", Many=[n, n + 1],
        )  # fmt: skip
        return out

    source = core.resize.Spline36(art_clip(32, 32, 6), format=vs.YUV420P8, matrix=1)
    source = core.std.ModifyFrame(source, source, tag)
    result = core.cugan.Upscale(source)
    for n in (5, 0, 3, 1, 4, 2):
        assert dict(result.get_frame(n).props) == dict(source.get_frame(n).props)


def test_any_order_gives_the_same_bits(core: Any, art_clip: MAKE) -> None:
    length = 12
    source = core.resize.Spline36(art_clip(64, 48, length), format=vs.YUV420P8, matrix=1)
    linear = [planes(f) for f in core.cugan.Upscale(source).frames()]
    order = list(range(length)) * 2
    random.Random(1).shuffle(order)
    for sequence in (range(length)[::-1], order):
        result = core.cugan.Upscale(source)
        for n in sequence:
            assert all(np.array_equal(a, b) for a, b in zip(planes(result.get_frame(n)), linear[n], strict=True))
    result = core.cugan.Upscale(source)
    with ThreadPoolExecutor(8) as pool:
        for n, got in zip(order, pool.map(lambda n: planes(result.get_frame(n)), order), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(got, linear[n], strict=True))


def test_it_chains(core: Any, art_clip: MAKE) -> None:
    source = core.resize.Spline36(art_clip(32, 32, 6), format=vs.YUV420P8, matrix=1)
    up = core.cugan.Upscale(source)
    direct = [up.get_frame(n) for n in range(6)]
    for clip, frames in (
        (up[2:5], [2, 3, 4]),
        (core.std.Splice([up[:2], up[4:]]), [0, 1, 4, 5]),
        (core.std.Interleave([up, up]), [0, 0, 1, 1]),
        (core.std.SelectEvery(up, 2, [1]), [1, 3, 5]),
        (core.cugan.Upscale(core.std.Trim(source, 1, 3)), [1, 2, 3]),
        (core.cugan.Upscale(core.std.Reverse(source)), [5, 4, 3]),
    ):
        for at, n in enumerate(frames):
            assert equal(clip.get_frame(at), direct[n])
    inverted = core.cugan.Upscale(core.std.Invert(source)).std.Invert()
    assert inverted.get_frame(0).width == 64
    twice = core.cugan.Upscale(up, scale=2).get_frame(0)
    assert (twice.width, twice.height) == (128, 128)
    assert core.std.Expr([up], "x 2 /").get_frame(0).width == 64


def test_tiles_through_the_filter(core: Any, art_clip: MAKE) -> None:
    source = art_clip(99, 77)
    whole = planes(core.cugan.Upscale(source, tile=0).get_frame(0))
    for tile in (32, [64, 32]):
        tiled = planes(core.cugan.Upscale(source, tile=tile).get_frame(0))
        assert max(np.abs(a - b).max() for a, b in zip(tiled, whole, strict=True)) < 2e-5


@pytest.mark.parametrize("reuse", ["off", "exact"])
def test_a_report_takes_the_place_of_an_earlier_one(core: Any, art_clip: MAKE, reuse: str) -> None:
    before = {"CuganRuntime": "another", "CuganReused": 0.25, "CuganOther": 7}
    for format in (vs.RGBS, vs.YUV420P8):
        clip = core.resize.Spline36(art_clip(32, 32), format=format, matrix=None if format == vs.RGBS else 1)
        clip = clip.std.SetFrameProps(**before)
        for arguments in ({}, {"width": 48, "kernel": "area"}):
            up = core.cugan.Upscale(clip, backend="torch", reuse=reuse, **arguments)
            kept = {name: value for name, value in up.get_frame(0).props.items() if name.startswith("Cugan")}
            assert kept == before
            up = core.cugan.Upscale(clip, backend="torch", reuse=reuse, report=1, **arguments)
            props = up.get_frame(0).props
            assert props["CuganRuntime"] == "torch"
            assert props["CuganReused"] == (0.25 if reuse == "off" else 0)
            assert props["CuganOther"] == 7


def test_every_frame_has_its_own_sar(core: Any, art_clip: MAKE) -> None:
    clip = core.resize.Spline36(art_clip(72, 48, 2), format=vs.YUV420P8, matrix=1)
    narrow, wide = clip[0].std.SetFrameProps(_SARNum=8, _SARDen=9), clip[1].std.SetFrameProps(_SARNum=32, _SARDen=27)
    up = core.cugan.Upscale(narrow + wide, height=108)
    assert [(f.props["_SARNum"], f.props["_SARDen"]) for f in up.frames()] == [(1, 1), (4, 3)]


def ramp(core: Any, format: int, full: bool, low: int, high: int) -> vs.VideoNode:
    """A HDR10 luma ramp, one code or less per pixel."""
    blank = core.std.BlankClip(format=format, width=1024, height=32, length=1)
    codes = np.linspace(low, high, 1024).round().astype(np.uint16)
    clip = painted(core, blank, lambda _, planes: np.copyto(planes[0], codes))
    return clip.std.SetFrameProps(_Matrix=9, _Primaries=9, _Transfer=16, _ChromaLocation=2, _Range=int(full))


def levels(clip: vs.VideoNode) -> int:
    return len(np.unique(planes(clip.get_frame(0))[0]))


def test_ten_bit_stays_ten_bit(core: Any) -> None:
    full = ramp(core, vs.YUV420P10, True, 0, 1023)
    assert levels(full) == 1024
    assert levels(core.cugan.Upscale(full, noise="conservative")) >= 1000
    assert levels(core.cugan.Upscale(full, noise="conservative", scale=1)) >= 1000
    assert levels(core.cugan.Upscale(full, noise="conservative", scale=1.5, linear=1)) >= 1000
    assert levels(core.cugan.Upscale(full, noise="conservative", format=vs.YUV420P16)) >= 6000
    limited = ramp(core, vs.YUV420P10, False, 4, 1019)
    assert levels(core.cugan.Upscale(limited, noise="conservative")) == 877  # all that limited range has
    assert levels(core.cugan.Upscale(limited, noise="conservative", overshoot="restore")) >= 1000


def test_hdr_props_survive(core: Any, art_clip: MAKE) -> None:
    props = {
        "_Matrix": 9, "_Primaries": 9, "_Transfer": 16, "_Range": 0, "_ChromaLocation": 2,
        "MasteringDisplayPrimariesX": [0.708, 0.17, 0.131], "MasteringDisplayPrimariesY": [0.292, 0.797, 0.046],
        "MasteringDisplayWhitePointX": 0.3127, "MasteringDisplayWhitePointY": 0.329,
        "MasteringDisplayMinLuminance": 0.0001, "MasteringDisplayMaxLuminance": 1000.0,
        "ContentLightLevelMax": 1000, "ContentLightLevelAverage": 400, "HDR10PlusMetadata": b"\x01\x02",
    }  # fmt: skip

    def tag(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        out.props.update(props)
        return out

    clip = core.resize.Spline36(art_clip(64, 48), format=vs.YUV420P10, matrix=9)
    clip = core.std.ModifyFrame(clip, clip, tag)
    before = dict(clip.get_frame(0).props)
    for arguments in ({}, {"width": 96}, {"scale": 1, "linear": 1}, {"width": 90, "kernel": "area", "linear": 1}):
        assert dict(core.cugan.Upscale(clip, **arguments).get_frame(0).props) == before
    deep = dict(core.cugan.Upscale(clip, width=96, format=vs.YUV444P16).get_frame(0).props)
    del before["_ChromaLocation"]  # there is none in 4:4:4
    assert deep == before


@pytest.mark.parametrize(("model", "scale"), [("se", 2), ("se", 3), ("se", 4), ("pro", 2), ("pro", 3)])
def test_conservative_casts_no_colour(model: str, scale: int, core: Any) -> None:
    """Each channel's mean over the real clip moves by less than 1 code of 8 bit."""
    source = core.bs.VideoSource(str(DATA / "sylvie_vn_640x360_crf23.mkv"), cachemode=0)[10:140:60]
    source = core.std.CropAbs(source, 320, 180, 160, 90)  # scripts/quality.py does the whole picture
    up = core.cugan.Upscale(source, model=model, scale=scale, noise="conservative", format=vs.RGBS)
    before = core.resize.Spline36(source, format=vs.RGBS)
    moved = np.zeros(3)
    for a, b in zip(before.frames(), up.frames(), strict=True):
        moved += [np.mean(y) - np.mean(x) for x, y in zip(planes(a), planes(b), strict=True)]
    assert np.abs(moved / source.num_frames * 255).max() < 1


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("location", range(6))
def test_subsampled_chroma_lies_where_full_chroma_does(location: int, upright: bool, core: Any) -> None:
    """The same network result as 4:2:0 and as 4:4:4; test_colour compares the path itself with resize."""
    source = core.resize.Bicubic(chroma_edge(core, upright), format=vs.YUV420P16, chromaloc=location)
    source = source.std.SetFrameProps(_Matrix=1)
    for arguments in ({"scale": 2}, {"scale": 1}, {"scale": 1.5}, {"width": 112, "height": 112, "kernel": "lanczos"}):
        small = core.cugan.Upscale(source, noise="conservative", **arguments)
        full = core.cugan.Upscale(source, noise="conservative", format=vs.YUV444P16, **arguments)
        assert small.get_frame(0).props["_ChromaLocation"] == location
        assert abs(edge_position(small, upright) - edge_position(full, upright)) < 0.05
