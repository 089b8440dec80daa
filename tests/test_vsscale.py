"""The scaler for vs-jetpack, in vs-jetpack itself."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.clips import MAKE, equal, message
from support.frames import painted, planes

import vscugan

vskernels = pytest.importorskip("vskernels", reason="needs vsjetpack")
vsscale = pytest.importorskip("vsscale", reason="needs vsjetpack")
vsaa = pytest.importorskip("vsaa", reason="needs vsjetpack")

from vscugan.vsscale import Cugan  # noqa: E402

PERIOD_PX = 32


class Shrink(vskernels.Scaler):  # type: ignore[misc, name-defined]
    """A scaler of vs-jetpack's that needs no other plugin."""

    _static_kernel_radius = 2

    def scale_function(self, clip: vs.VideoNode, **arguments: Any) -> vs.VideoNode:
        return clip.resize.Bicubic(**arguments)


@pytest.mark.parametrize(
    "format", [vs.GRAY8, vs.GRAYH, vs.GRAYS, vs.YUV420P8, vs.YUV422P16, vs.YUV444PS, vs.RGB24, vs.RGBH, vs.RGBS]
)
def test_the_clip_comes_back_in_its_format_as_upscale_gives_it(core: Any, art_clip: MAKE, format: int) -> None:
    family = vs.core.get_video_format(format).color_family
    source = art_clip(64, 48).resize.Bicubic(format=format, **({} if family == vs.RGB else {"matrix": 1}))
    made = Cugan(noise="denoise1x").scale(source, 96, 80)
    expected = vscugan.upscale(source, noise="denoise1x", width=96, height=80)
    assert (made.format.id, made.width, made.height) == (format, 96, 80)
    assert equal(made.get_frame(0), expected.get_frame(0))


def test_sizes_that_are_left_out(art_clip: MAKE) -> None:
    source = art_clip(64, 48)
    same, larger, wider = Cugan().scale(source), Cugan().supersample(source, 1.5), Cugan().scale(source, 100)
    assert [(clip.width, clip.height) for clip in (same, larger, wider)] == [(64, 48), (96, 72), (100, 48)]


def test_options_of_the_call_come_before_those_of_the_scaler(art_clip: MAKE) -> None:
    source = art_clip(64, 48)
    made = Cugan(noise=3, alpha=0.8, tile=[32, 48]).supersample(source, noise=0)
    assert equal(made.get_frame(0), vscugan.upscale(source, noise=0, alpha=0.8, tile=[32, 48]).get_frame(0))


def waves(core: Any) -> vs.VideoNode:
    """GRAYS: waves along both axes, with PERIOD_PX."""
    y, x = np.mgrid[0:96, 0:128] * (2 * np.pi / PERIOD_PX)
    pattern = (0.5 + 0.2 * np.sin(x) + 0.2 * np.sin(y)).astype(np.float32)
    blank = core.std.BlankClip(format=vs.GRAYS, width=128, height=96, length=1, keep=True)

    def paint(_: int, planes: list[np.ndarray]) -> None:
        planes[0][:] = pattern

    return painted(core, blank, paint)


def phases_px(clip: vs.VideoNode, period_px: float) -> tuple[float, float]:
    """(top, left): where the waves are, in px of the clip, over whole periods away from its borders."""
    inner = int(period_px)
    plane = planes(clip.get_frame(0))[0][inner:-inner, inner:-inner].astype(np.float64)
    found = []
    for axis in (0, 1):
        profile = plane.mean(axis=1 - axis)
        position = np.arange(len(profile)) * (2 * np.pi / period_px)
        found.append(np.angle((profile * np.exp(-1j * position)).sum()) * period_px / (2 * np.pi))
    return found[0], found[1]


@pytest.mark.parametrize(("factor", "shift"), [(1, (0.25, -0.5)), (2, (0.0, 1.375)), (3, (1.0, 1 / 3))])
def test_a_shift_is_in_px_of_the_source_as_that_of_vs_jetpacks_kernels(
    core: Any, factor: int, shift: tuple[float, float]
) -> None:
    source = waves(core)
    width, height = source.width * factor, source.height * factor
    period = PERIOD_PX * factor

    def moved(scaler: Any) -> np.ndarray:
        there, here = (phases_px(scaler.scale(source, width, height, s), period) for s in (shift, (0, 0)))
        return np.subtract(there, here) / factor  # px of the source

    assert moved(Shrink()) == pytest.approx(shift, abs=1e-3)  # the reference: the resizer's own shift
    assert moved(Cugan(noise=0)) == pytest.approx(shift, abs=1e-3)


def test_chroma_is_shifted_with_luma(core: Any, art_clip: MAKE) -> None:
    source = art_clip(64, 48).resize.Bicubic(format=vs.YUV420P16, matrix=1)
    made = Cugan(noise=0).scale(source, 128, 96, (2, -4))
    unshifted = planes(Cugan(noise=0).scale(source, 128, 96).get_frame(0))
    for p, (moved, plane) in enumerate(zip(planes(made.get_frame(0)), unshifted, strict=True)):
        step = 1 if p else 2  # px of the plane for a px of the source
        down, right = 2 * step, -4 * step
        assert np.array_equal(moved[: -down or None, -right:], plane[down:, :right]), p


def test_a_scaler_is_found_by_class_object_and_name() -> None:
    for each in (Cugan, Cugan(), "Cugan"):
        assert isinstance(vskernels.Scaler.ensure_obj(each), Cugan)
        assert vskernels.is_scaler_like(each)
    assert str(Cugan(noise="denoise1x")) == "Cugan(noise=denoise1x)"
    assert Cugan().kernel_radius == 19


def test_functions_of_vs_jetpack_take_it(core: Any, art_clip: MAKE) -> None:
    rgb = art_clip(64, 48)
    yuv = rgb.resize.Bicubic(format=vs.YUV420P16, matrix=1)
    gray = core.std.ShufflePlanes(yuv, 0, vs.GRAY)
    doubled = vscugan.upscale(gray, noise=0).resize.Bicubic(64, 48)

    through = vsscale.pre_ss(gray, lambda clip: clip, supersampler=Cugan(noise=0), downscaler=Shrink)
    assert equal(through.get_frame(0), doubled.get_frame(0))

    untouched = SimpleNamespace(antialias=lambda clip, **_: clip)
    smooth = vsaa.based_aa(
        yuv, supersampler=Cugan(noise=0), downscaler=Shrink, antialiaser=untouched, mask=False, postfilter=False,
        pscale=1.0,
    )  # fmt: skip
    assert np.array_equal(planes(smooth.get_frame(0))[0], planes(doubled.get_frame(0))[0])

    clamped = vsscale.ClampScaler(Cugan(noise=0), Shrink, masked=False, limit=False).scale(rgb, 128, 96)
    assert (clamped.width, clamped.height) == (128, 96)
    clamped.get_frame(0).close()

    sizes = core.std.Splice([rgb, art_clip(32, 32)], mismatch=True)
    one = vsscale.scale_var_clip(sizes, Cugan(noise=0), 96, 96)
    expected = vscugan.upscale(art_clip(32, 32), noise=0, width=96, height=96)
    assert equal(one.get_frame(1), expected.get_frame(0))


def test_what_is_refused(art_clip: MAKE) -> None:
    for name, value in (("clip", 1), ("scale", 2), ("width", 128), ("height", 96)):
        with pytest.raises(vs.Error) as error:
            Cugan(**{name: value})
        assert str(error.value) == (
            f"vscugan.vsscale.Cugan: {name} must be left out, got {value}; "
            "use scale(clip, width, height) or supersample(clip, rfactor)"
        )
    assert message(lambda: Cugan(alpha=0).supersample(art_clip(64, 48))) == (
        "cugan.Upscale: alpha must be above 0 and at most 4, got 0; 1 is off, 0.7 to 1.3 is useful"
    )


def test_without_vs_jetpack_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['vskernels'] = None; import vscugan.vsscale"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: vscugan.vsscale: vs-jetpack must be installed, got import of vskernels halted; "
        "None in sys.modules; run pip install vsjetpack"
    )
