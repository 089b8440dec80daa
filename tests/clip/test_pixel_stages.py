"""The network's stage, alpha, and the area downscale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.clips import MAKE, alpha_of, differences, equal, message, still
from support.frames import painted, planes

import vscugan


def test_a_later_interlaced_frame_is_an_error_of_that_frame(core: Any) -> None:
    a = core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=2)
    up = core.cugan.Upscale(core.std.Splice([a, a.std.SetFrameProps(_FieldBased=2)]))
    assert up.get_frame(1).width == 32
    assert message(lambda: up.get_frame(3)).startswith("cugan.Upscale: frame 3 must be progressive, got _FieldBased=2")
    assert up.get_frame(0).width == 32


def test_nan_in_the_source_names_the_frame(core: Any) -> None:
    blank = core.std.BlankClip(format=vs.RGBS, width=32, height=32, length=3)

    def poison(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        if n == 2:
            np.asarray(out[1])[3, 4] = np.nan
        return out

    up = core.cugan.Upscale(core.std.ModifyFrame(blank, blank, poison))
    assert up.get_frame(1).width == 64
    assert message(lambda: up.get_frame(2)) == (
        "cugan.Upscale: frame 2 must come out finite, got NaN or Inf from the network in fp32; "
        "look for NaN in the source there, and check the weights"
    )


def test_input_outside_the_range_is_clamped(core: Any) -> None:
    for value in (-0.05, 1.3, 100.0):
        clip = core.std.BlankClip(format=vs.RGBS, width=32, height=32, length=1, color=[value] * 3)
        inside = core.std.BlankClip(format=vs.RGBS, width=32, height=32, length=1, color=[min(max(value, 0), 1)] * 3)
        assert equal(core.cugan.Upscale(clip).get_frame(0), core.cugan.Upscale(inside).get_frame(0))


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


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("linear", [False, True])
def test_the_area_downscale(linear: bool, core: Any, art_clip: MAKE) -> None:
    """3/4 of a doubled picture: each output pixel covers 4/3 px of it."""
    source = art_clip(64, 48).std.SetFrameProps(_Transfer=13)
    big = core.resize.Point(source, 128, 96, transfer=8 if linear else 13, approximate_gamma=0)
    x = np.stack(planes(big.get_frame(0))).repeat(3, 1).repeat(3, 2)
    wanted = x.reshape(3, 72, 4, 96, 4).mean(axis=(2, 4))
    if linear:
        wanted = np.where(wanted <= 0.0031308, wanted * 12.92, 1.055 * np.maximum(wanted, 1e-9) ** (1 / 2.4) - 0.055)
    got = core.cugan.Upscale(source, scale=1.5, kernel="area", linear=linear)
    assert max(np.abs(a - b).max() for a, b in zip(planes(got.get_frame(0)), wanted, strict=True)) < 1e-5


def test_transparent_pictures_grow_no_dark_edges(core: Any, picture: np.ndarray) -> None:
    """A light disc cut out of art: its edge is what it is when nothing is cut away, and not darker."""
    light = 0.6 + 0.4 * picture[:, 100:196, 200:296]
    y, x = np.mgrid[:96, :96] - 47.5
    alpha = np.clip(36.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    clip = still(core, vs.RGBS, np.where(alpha > 0, light, 0))
    frame = vscugan.upscale(clip, alpha_clip=still(core, vs.GRAYS, alpha), noise="conservative").get_frame(0)
    a = alpha_of(frame)
    uncut, unbled = (
        np.stack(planes(core.cugan.Upscale(c, noise="conservative").get_frame(0)))
        for c in (still(core, vs.RGBS, light), clip)
    )
    edge = (a > 0.02) & (a < 0.98)
    ours, theirs = ((a * (x - uncut))[:, edge] for x in (np.stack(planes(frame)), unbled))
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
    alpha_clip = core.resize.Spline36(still(core, vs.GRAYS, alpha), format=vs.GRAY8, range_in_s="full", range_s="full")
    given = core.cugan.Upscale(clip, alpha_clip=alpha_clip, **arguments)
    attached = core.cugan.Upscale(core.std.ClipToProp(clip, alpha_clip, prop="_Alpha"), **arguments)
    for a, b in zip(given.frames(), attached.frames(), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(planes(a), planes(b), strict=True))
        assert np.array_equal(alpha_of(a), alpha_of(b))
        assert a.props["_Alpha"].format.id == vs.GRAY8
        assert alpha_of(a).shape == planes(a)[0].shape
        assert (alpha_of(a).min(), alpha_of(a).max()) == (0, 255)
        assert abs(alpha_of(a).mean() / 255 - alpha.mean()) < 0.01
    core.std.PropToClip(given, "_Alpha").get_frame(0)


def test_alpha_takes_the_depth_of_the_output(core: Any, cutout: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, alpha = cutout
    clip = core.resize.Spline36(still(core, vs.RGBS, rgb), format=vs.YUV444P8, matrix=1)
    frame = vscugan.upscale(clip, alpha_clip=still(core, vs.GRAYS, alpha), format=vs.YUV420P16).get_frame(0)
    assert frame.props["_Alpha"].format.id == vs.GRAY16
    assert (alpha_of(frame).min(), alpha_of(frame).max()) == (0, 65535)


def test_opaque_alpha_changes_nothing(core: Any, art_clip: MAKE) -> None:
    clip = art_clip(32, 32)
    alpha_clip = core.std.BlankClip(format=vs.GRAY8, width=32, height=32, length=1, color=255)
    plain = core.cugan.Upscale(clip).get_frame(0)
    with_alpha = core.cugan.Upscale(clip, alpha_clip=alpha_clip).get_frame(0)
    assert all(np.array_equal(a, b) for a, b in zip(planes(plain), planes(with_alpha), strict=True))
    assert (alpha_of(with_alpha) == 1).all()


def test_alpha_that_only_later_frames_carry_is_not_lost_silently(core: Any) -> None:
    bare = core.std.BlankClip(format=vs.RGB24, width=32, height=32, length=1)
    alpha_clip = core.std.BlankClip(format=vs.GRAY8, width=32, height=32, length=1, color=255)
    up = core.cugan.Upscale(bare + core.std.ClipToProp(bare, alpha_clip, prop="_Alpha"))
    assert "_Alpha" not in up.get_frame(0).props
    with pytest.raises(vs.Error) as error:
        up.get_frame(1)
    assert str(error.value) == (
        "cugan.Upscale: frame 1 must carry no alpha where the first frame has none, got _Alpha; "
        "hand the whole clip's alpha over as alpha_clip, or drop it with std.RemoveFrameProps(clip, '_Alpha')"
    )
    dropped = core.std.RemoveFrameProps(core.std.ClipToProp(bare, alpha_clip, prop="_Alpha"), "_Alpha")
    assert core.cugan.Upscale(bare + dropped).get_frame(1).width == 64


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    ("format", "props"),
    [
        (vs.GRAY8, {"_Range": 2, "_ChromaLocation": 9, "_FieldBased": 3, "_Primaries": 3, "_Transfer": 0}),
        (vs.GRAY16, {"_Range": 0, "_FieldBased": 2}),
        (vs.GRAYS, {"_Range": 2, "_ChromaLocation": 9, "_FieldBased": 3, "_Matrix": 14}),
    ],
)
def test_the_props_of_an_alpha_clip_do_not_matter(
    format: int, props: dict[str, int], core: Any, art_clip: MAKE
) -> None:
    clip = art_clip(64, 48)
    alpha = core.resize.Point(clip, format=format, matrix=1, range_s="full")
    marked = alpha.std.SetFrameProps(**props)
    for arguments in ({}, {"width": 96, "format": vs.RGB24}):
        for got in (
            core.cugan.Upscale(clip, alpha_clip=marked, **arguments),
            core.cugan.Upscale(core.std.ClipToProp(clip, marked), **arguments),
        ):
            wanted = core.cugan.Upscale(clip, alpha_clip=alpha, **arguments)
            a, b = (c.get_frame(0).props["_Alpha"] for c in (got, wanted))
            assert differences(a, b) == 0


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
    clip, alpha_clip = still(core, vs.RGBS, rgb), still(core, vs.GRAYS, alpha)
    wanted = core.cugan.Upscale(clip, alpha_clip=alpha_clip, **arguments).get_frame(0)
    on_gpu, alpha_on_gpu = core.std.GPUUpload(clip), core.std.GPUUpload(alpha_clip)
    assert on_gpu.get_frame(0).gpu_resident
    for source in (clip, on_gpu):
        attached = core.std.ClipToProp(source, alpha_on_gpu)
        for up in (
            core.cugan.Upscale(attached, **arguments),
            core.cugan.Upscale(source, alpha_clip=alpha_on_gpu, **arguments),
        ):
            got = up.get_frame(0)
            assert not got.gpu_resident
            assert all(np.array_equal(a, b) for a, b in zip(planes(got), planes(wanted), strict=True))
            assert np.array_equal(alpha_of(got), alpha_of(wanted))
