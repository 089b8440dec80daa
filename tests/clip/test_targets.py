"""Any size, depth, range and alpha, through core.cugan.Upscale with the real network."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from PIL import Image
from support.frames import DATA, chroma_edge, edge_position, painted, planes

import vscugan

MAKE = Callable[..., vs.VideoNode]
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


def test_every_frame_has_its_own_sar(core: Any, art_clip: MAKE) -> None:
    clip = core.resize.Spline36(art_clip(72, 48, 2), format=vs.YUV420P8, matrix=1)
    narrow, wide = clip[0].std.SetFrameProps(_SARNum=8, _SARDen=9), clip[1].std.SetFrameProps(_SARNum=32, _SARDen=27)
    up = core.cugan.Upscale(narrow + wide, height=108)
    assert [(f.props["_SARNum"], f.props["_SARDen"]) for f in up.frames()] == [(1, 1), (4, 3)]


def test_the_log_says_the_route(core: Any, art_clip: MAKE) -> None:
    lines: list[str] = []
    handler = core.add_log_handler(lambda _, text: lines.append(text))
    try:
        core.cugan.Upscale(art_clip(32, 32), scale=6, noise="denoise1x", kernel="area")
        core.cugan.Upscale(art_clip(32, 32), width=64)
    finally:
        core.remove_log_handler(handler)
    assert "cugan.Upscale: 32x32 -> 192x192 by 2x denoise1x, then 4x conservative, then area" in lines
    assert "cugan.Upscale: 32x32 -> 64x64 by 2x no-denoise" in lines


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
    told = {
        "_Matrix": 9, "_Primaries": 9, "_Transfer": 16, "_Range": 0, "_ChromaLocation": 2,
        "MasteringDisplayPrimariesX": [0.708, 0.17, 0.131], "MasteringDisplayPrimariesY": [0.292, 0.797, 0.046],
        "MasteringDisplayWhitePointX": 0.3127, "MasteringDisplayWhitePointY": 0.329,
        "MasteringDisplayMinLuminance": 0.0001, "MasteringDisplayMaxLuminance": 1000.0,
        "ContentLightLevelMax": 1000, "ContentLightLevelAverage": 400, "HDR10PlusMetadata": b"\x01\x02",
    }  # fmt: skip

    def tag(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        out.props.update(told)
        return out

    clip = core.resize.Spline36(art_clip(64, 48), format=vs.YUV420P10, matrix=9)
    clip = core.std.ModifyFrame(clip, clip, tag)
    before = dict(clip.get_frame(0).props)
    for arguments in ({}, {"width": 96}, {"scale": 1, "linear": 1}, {"width": 90, "kernel": "area", "linear": 1}):
        assert dict(core.cugan.Upscale(clip, **arguments).get_frame(0).props) == before
    deep = dict(core.cugan.Upscale(clip, width=96, format=vs.YUV444P16).get_frame(0).props)
    del before["_ChromaLocation"]  # there is none in 4:4:4
    assert deep == before


def test_linear_light_of_an_unknown_transfer(core: Any) -> None:
    clip = core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=1).std.SetFrameProps(_Transfer=12)
    assert core.cugan.Upscale(clip, scale=1).get_frame(0).width == 32
    with pytest.raises(vs.Error) as error:
        core.cugan.Upscale(clip, scale=1, linear=1)
    assert str(error.value) == (
        "cugan.Upscale: _Transfer must be one of 1, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 18 for linear=1, got 12; "
        "use linear=0, or set it right with std.SetFrameProps"
    )


def patch(core: Any, code: int) -> vs.VideoNode:
    """Limited-range gray with a patch of one luma code."""
    base = core.std.BlankClip(format=vs.YUV420P8, width=96, height=64, length=1, color=[120, 128, 128])
    clip = painted(core, base, lambda _, planes: planes[0][16:48, 32:64].fill(code))
    return clip.std.SetFrameProps(_Matrix=1, _Range=0)


@pytest.mark.parametrize("code", [254, 5])
@pytest.mark.parametrize("arguments", [{}, {"scale": 3}, {"scale": 1.5}, {"scale": 1}, {"model": "pro"}], ids=str)
def test_overshoot(code: int, arguments: dict[str, Any], core: Any) -> None:
    nominal = 235 if code > 128 else 16
    for overshoot, wanted in (("clip", nominal), ("restore", code)):
        frame = core.cugan.Upscale(patch(core, code), noise="conservative", overshoot=overshoot, **arguments)
        y = planes(frame.get_frame(0))[0].astype(int)
        rate = y.shape[0] / 64
        inner = y[round(20 * rate) : round(44 * rate), round(36 * rate) : round(60 * rate)]
        assert abs(inner - wanted).max() <= 2
        outside = y[:, : round(28 * rate)]
        assert abs(outside - 120).max() <= 8  # no ring, no explosion


def test_an_infinite_overshoot_names_the_frame(core: Any) -> None:
    clip = still(core, vs.RGBS, np.full((3, 32, 32), np.inf, np.float32))
    assert core.cugan.Upscale(clip).get_frame(0).width == 64
    with pytest.raises(vs.Error) as error:
        core.cugan.Upscale(clip, overshoot="restore").get_frame(0)
    assert str(error.value) == (
        "cugan.Upscale: frame 0 must be finite for overshoot=restore, got Inf; look for it in the source there"
    )


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


@pytest.fixture(scope="module")
def cutout() -> tuple[np.ndarray, np.ndarray]:
    """(3, 128, 96) and (128, 96) fp32: a figure on transparent black, and its alpha."""
    image = Image.open(DATA / "sylvie_green_normal_456x700_rgba.png").convert("RGBA")
    rgba = np.asarray(image.crop((80, 180, 176, 308))).astype(np.float32) / 255
    rgb, alpha = rgba[..., :3].transpose(2, 0, 1).copy(), rgba[..., 3].copy()
    rgb[:, alpha == 0] = 0
    assert 0.1 < alpha.mean() < 0.9
    return rgb, alpha


def still(core: Any, format: int, pixels: np.ndarray) -> vs.VideoNode:
    """A clip of two frames of these planes."""
    height, width = pixels.shape[-2:]

    def paint(planes: list[np.ndarray]) -> None:
        for plane, values in zip(planes, pixels.reshape(-1, height, width), strict=True):
            plane[:] = values

    blank = core.std.BlankClip(format=format, width=width, height=height, length=2, keep=True)
    return painted(core, blank, lambda _, planes: paint(planes))


def matte_of(frame: vs.VideoFrame) -> np.ndarray:
    return np.array(frame.props["_Alpha"][0])


def test_transparent_pictures_grow_no_dark_edges(core: Any, picture: np.ndarray) -> None:
    """A light disc cut out of art: its edge is what it is when nothing is cut away, and not darker."""
    light = 0.6 + 0.4 * picture[:, 100:196, 200:296]
    y, x = np.mgrid[:96, :96] - 47.5
    alpha = np.clip(36.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    clip = still(core, vs.RGBS, np.where(alpha > 0, light, 0))
    frame = vscugan.upscale(clip, alpha_clip=still(core, vs.GRAYS, alpha), noise="conservative").get_frame(0)
    a = matte_of(frame)
    uncut, unbled = (
        np.stack(planes(core.cugan.Upscale(c, noise="conservative").get_frame(0)))
        for c in (still(core, vs.RGBS, light), clip)
    )
    edge = (a > 0.02) & (a < 0.98)
    ours, theirs = ((a * (np.stack(x) - uncut))[:, edge] for x in (planes(frame), unbled))
    assert abs(ours.mean()) < 0.005
    assert theirs.mean() < -0.02  # without bleeding it is seen
    # opaque or transparent all around stays exactly that
    assert (a[np.hypot(*(np.mgrid[:192, :192] - 95.5)) < 66] == 1).all()
    assert (a[np.hypot(*(np.mgrid[:192, :192] - 95.5)) > 80] == 0).all()


@pytest.mark.parametrize("arguments", [{}, {"width": 144}, {"scale": 1}, {"width": 150, "kernel": "area"}], ids=str)
def test_alpha_given_or_attached_comes_back_attached(
    arguments: dict[str, Any], core: Any, cutout: tuple[np.ndarray, np.ndarray]
) -> None:
    rgb, alpha = cutout
    clip = core.resize.Spline36(still(core, vs.RGBS, rgb), format=vs.RGB24)
    matte = core.resize.Spline36(still(core, vs.GRAYS, alpha), format=vs.GRAY8, range_in_s="full", range_s="full")
    given = core.cugan.Upscale(clip, alpha_clip=matte, **arguments)
    attached = core.cugan.Upscale(core.std.ClipToProp(clip, matte, prop="_Alpha"), **arguments)
    for a, b in zip(given.frames(), attached.frames(), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(planes(a), planes(b), strict=True))
        assert np.array_equal(matte_of(a), matte_of(b))
        assert a.props["_Alpha"].format.id == vs.GRAY8
        assert matte_of(a).shape == planes(a)[0].shape
        assert (matte_of(a).min(), matte_of(a).max()) == (0, 255)
        assert abs(matte_of(a).mean() / 255 - alpha.mean()) < 0.01
    core.std.PropToClip(given, "_Alpha").get_frame(0)


def test_alpha_takes_the_depth_of_the_output(core: Any, cutout: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, alpha = cutout
    clip = core.resize.Spline36(still(core, vs.RGBS, rgb), format=vs.YUV444P8, matrix=1)
    frame = vscugan.upscale(clip, alpha_clip=still(core, vs.GRAYS, alpha), format=vs.YUV420P16).get_frame(0)
    assert frame.props["_Alpha"].format.id == vs.GRAY16
    assert (matte_of(frame).min(), matte_of(frame).max()) == (0, 65535)


def test_opaque_alpha_changes_nothing(core: Any, art_clip: MAKE) -> None:
    clip = art_clip(32, 32)
    matte = core.std.BlankClip(format=vs.GRAY8, width=32, height=32, length=1, color=255)
    plain, with_alpha = core.cugan.Upscale(clip).get_frame(0), core.cugan.Upscale(clip, alpha_clip=matte).get_frame(0)
    assert all(np.array_equal(a, b) for a, b in zip(planes(plain), planes(with_alpha), strict=True))
    assert (matte_of(with_alpha) == 1).all()


def test_alpha_that_does_not_go_with_the_clip(core: Any) -> None:
    clip = core.std.BlankClip(format=vs.RGB24, width=32, height=32, length=2)
    for matte, text in (
        (
            core.std.BlankClip(format=vs.GRAY8, width=16, height=32, length=2),
            "alpha_clip must be gray of 32x32 px, got GRAY8 of 16x32 px; use std.ShufflePlanes or resize to make it so",
        ),
        (
            clip,
            "alpha_clip must be gray of 32x32 px, got RGB24 of 32x32 px; use std.ShufflePlanes or resize to make it so",
        ),
        (
            core.std.BlankClip(format=vs.GRAY8, width=32, height=32, length=3),
            "alpha_clip must have the clip's 2 frames, got 3; use std.Trim or std.Loop",
        ),
    ):
        with pytest.raises(vs.Error) as error:
            vscugan.upscale(clip, alpha_clip=matte)
        assert str(error.value) == f"cugan.Upscale: {text}"


def test_alpha_that_only_later_frames_carry_is_not_lost_silently(core: Any) -> None:
    bare = core.std.BlankClip(format=vs.RGB24, width=32, height=32, length=1)
    matte = core.std.BlankClip(format=vs.GRAY8, width=32, height=32, length=1, color=255)
    up = core.cugan.Upscale(bare + core.std.ClipToProp(bare, matte, prop="_Alpha"))
    assert "_Alpha" not in up.get_frame(0).props
    with pytest.raises(vs.Error) as error:
        up.get_frame(1)
    assert str(error.value) == (
        "cugan.Upscale: frame 1 must carry no alpha where the first frame has none, got _Alpha; "
        "hand the whole clip's alpha over as alpha_clip, or drop it with std.RemoveFrameProps(clip, '_Alpha')"
    )
    dropped = core.std.RemoveFrameProps(core.std.ClipToProp(bare, matte, prop="_Alpha"), "_Alpha")
    assert core.cugan.Upscale(bare + dropped).get_frame(1).width == 64


@pytest.fixture
def gpu(core: Any) -> None:
    """Frames on a GPU, where there is one for VapourSynth."""
    if not hasattr(core.std, "GPUUpload"):
        pytest.skip("this VapourSynth keeps no frames on a GPU")
    try:
        core.std.GPUUpload(core.std.BlankClip(width=16, height=16, length=1)).get_frame(0).close()
    except vs.Error as error:
        pytest.skip(f"needs a device with Vulkan 1.4: {error}")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("arguments", [{}, {"width": 144}, {"width": 150, "kernel": "area"}], ids=str)
def test_frames_on_a_gpu_are_brought_into_main_memory(
    arguments: dict[str, Any], core: Any, cutout: tuple[np.ndarray, np.ndarray]
) -> None:
    """The clip, an alpha clip and an attached alpha; std.GPUUpload and GPUDownload pass on what is there already."""
    rgb, alpha = cutout
    clip, matte = still(core, vs.RGBS, rgb), still(core, vs.GRAYS, alpha)
    wanted = core.cugan.Upscale(clip, alpha_clip=matte, **arguments).get_frame(0)
    on_gpu, matte_on_gpu = core.std.GPUUpload(clip), core.std.GPUUpload(matte)
    assert on_gpu.get_frame(0).gpu_resident
    for source in (clip, on_gpu):
        attached = core.std.ClipToProp(source, matte_on_gpu)
        for up in (
            core.cugan.Upscale(attached, **arguments),
            core.cugan.Upscale(source, alpha_clip=matte_on_gpu, **arguments),
        ):
            got = up.get_frame(0)
            assert not got.gpu_resident
            assert all(np.array_equal(a, b) for a, b in zip(planes(got), planes(wanted), strict=True))
            assert np.array_equal(matte_of(got), matte_of(wanted))
