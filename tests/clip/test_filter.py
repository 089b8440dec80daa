"""core.cugan.Upscale as scripts use it."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.frames import planes

import vscugan
from vscugan import engine as engine_module
from vscugan import network_pass, route
from vscugan.models import weights as weights_module
from vscugan.models.registry import find

MAKE = Callable[..., vs.VideoNode]
FORMATS = [
    vs.YUV420P8, vs.YUV422P10, vs.YUV444P16, vs.YUV440P8, vs.YUV411P8, vs.YUV410P8, vs.YUV420PH, vs.YUV444PS,
    vs.RGB24, vs.RGB48, vs.RGBH, vs.RGBS, vs.GRAY8, vs.GRAY16, vs.GRAYH, vs.GRAYS,
]  # fmt: skip


def equal(a: vs.VideoFrame, b: vs.VideoFrame) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(planes(a), planes(b), strict=True))


def message(call: Callable[[], object]) -> str:
    with pytest.raises(vs.Error) as error:
        call()
    return str(error.value)


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


def test_names_integers_and_the_python_twin_agree(core: Any, art_clip: MAKE) -> None:
    source = art_clip(32, 32)
    names = {-1: "no-denoise", 0: "conservative", 1: "denoise1x", 2: "denoise2x", 3: "denoise3x"}
    seen = []
    for number, name in names.items():
        frames = [
            core.cugan.Upscale(source, noise=name).get_frame(0),
            core.cugan.Upscale(source, noise=number).get_frame(0),
            vscugan.upscale(source, noise=number).get_frame(0),
        ]
        assert equal(frames[0], frames[1])
        assert equal(frames[0], frames[2])
        seen.append(planes(frames[0]))
    assert not any(np.array_equal(a[0], b[0]) for i, a in enumerate(seen) for b in seen[:i])
    assert equal(core.cugan.Upscale(source).get_frame(0), core.cugan.Upscale(source, noise=-1).get_frame(0))


def test_tiles_through_the_filter(core: Any, art_clip: MAKE) -> None:
    source = art_clip(99, 77)
    whole = planes(core.cugan.Upscale(source, tile=0).get_frame(0))
    for tile in (32, [64, 32]):
        tiled = planes(core.cugan.Upscale(source, tile=tile).get_frame(0))
        assert max(np.abs(a - b).max() for a, b in zip(tiled, whole, strict=True)) < 2e-5


ARGUMENTS = [
    (
        {"scale": 0.5},
        "scale must be 1 to 16, got 0.5; 1 restores without resizing, and width or height makes a smaller picture",
    ),
    ({"scale": 2, "width": 32}, "scale must be left out where width or height is given, got 2; use one of the two"),
    ({"height": 0}, "height must be at least 1 px, got 0; leave it out to follow the display shape"),
    (
        {"width": 31},
        "width must be a multiple of 2 for YUV420P8, got 31; use 30 or 32, or a format with full-resolution chroma",
    ),
    ({"height": 258}, "width must be at most 16 times the source's 16, got 258; use 256 or less"),
    ({"kernel": "mitchell"}, "kernel must be spline36, lanczos, bicubic or area, got mitchell; use one of these"),
    ({"linear": 2}, "linear must be 0 or 1, got 2; use one of these"),
    (
        {"memory": 10},
        "memory must be at least 64 MiB, got 10; leave it out for half of what is free, or name a small tile",
    ),
    ({"report": 2}, "report must be 0 or 1, got 2; use one of these"),
    ({"overshoot": "keep"}, "overshoot must be clip or restore, got keep; use one of these"),
    ({"model": "x"}, "model must be se or pro, got x; use one of these"),
    (
        {"noise": "denoise9x"},
        "noise must be no-denoise, conservative, denoise1x, denoise2x, denoise3x or -1 to 3, got denoise9x; "
        "-1 is no-denoise and 0 is conservative, as in vs-mlrt",
    ),
    (
        {"noise": "denoise1x", "scale": 3},
        "noise=denoise1x exists only for scale=2, got scale=3; use conservative, no-denoise or denoise3x",
    ),
    ({"alpha": 0.0}, "alpha must be above 0 and at most 4, got 0; 1 is off, 0.7 to 1.3 is useful"),
    ({"alpha": float("nan")}, "alpha must be above 0 and at most 4, got nan; 1 is off, 0.7 to 1.3 is useful"),
    ({"tile": [1, 2, 3]}, "tile must be one or two numbers, got 3; use tile=[width, height]"),
    (
        {"tile": 8},
        "tile must be 0 or at least 32 px, got 8; use 0 for the whole frame, or leave tile out to have it chosen",
    ),
    (
        {"device": "gpu"},
        "device must be auto, cpu, mps, cuda, cuda:N, xpu or xpu:N, got gpu; use auto to have it chosen",
    ),
    (
        {"device": "cuda:\u00b2"},
        "device must be auto, cpu, mps, cuda, cuda:N, xpu or xpu:N, got cuda:\u00b2; use auto to have it chosen",
    ),
    (
        {"device": f"cuda:{'9' * 5000}"},
        f"device must be auto, cpu, mps, cuda, cuda:N, xpu or xpu:N, got cuda:{'9' * 5000}; "
        "use auto to have it chosen",
    ),
    ({"precision": "int4"}, "precision must be auto, fp32, fp16, bf16 or int8, got int4; use one of these"),
    ({"streams": 0}, "streams must be 1 to 32, got 0; leave it out for the default"),
    ({"weights": ""}, "weights must be a file, got an empty path; leave it out for the released models"),
    (
        {"weights": "x.pth", "noise": 0},
        "noise must be left out where weights is given, got 0; the file has its own noise level",
    ),
    ({"weights": "none.pth"}, "weights must be a file, got none.pth; check the path"),
    (
        {"format": 77},
        "format must be a Gray, RGB or YUV format of 8 to 16 bit, half or single, got 77; use one such as vs.YUV420P10",
    ),
]


@pytest.mark.parametrize(("arguments", "text"), ARGUMENTS, ids=lambda a: str(a)[:30])
def test_bad_arguments(arguments: dict[str, Any], text: str, core: Any) -> None:
    clip = core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=1)
    assert message(lambda: core.cugan.Upscale(clip, **arguments)) == f"cugan.Upscale: {text}"
    assert message(lambda: vscugan.upscale(clip, **arguments)) == f"cugan.Upscale: {text}"


@pytest.mark.skipif(engine_module.torch.cuda.is_available(), reason="asks for a device that is not there")
def test_a_missing_device(core: Any) -> None:
    clip = core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=1)
    assert message(lambda: core.cugan.Upscale(clip, device="cuda:1")) == (
        "cugan.Upscale: device=cuda:1 must be one that torch sees, got 0 CUDA devices; "
        "use device=cpu, or check the driver and that torch is built for it"
    )


def test_bad_clips_are_refused_before_any_weight_file(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file(*_: object, **__: object) -> None:
        raise AssertionError("a weight file was opened")

    monkeypatch.setattr(weights_module, "load_released", no_file)
    monkeypatch.setattr(route, "load_released", no_file)
    a = core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=2)
    b = core.std.BlankClip(format=vs.YUV444P8, width=16, height=16, length=2)
    c = core.std.BlankClip(format=vs.YUV420P8, width=32, height=16, length=2)
    deep = core.std.BlankClip(format=vs.GRAY32, width=16, height=16, length=1)
    cases = [
        (
            core.std.Splice([a, b], mismatch=True),
            "clip must have one format, got a variable one; convert the frames to one first, "
            "for example with resize.Bicubic(format=...)",
        ),
        (
            core.std.Splice([a, c], mismatch=True),
            "clip must have one size, got a variable one; resize the frames to one first, "
            "for example with resize.Bicubic(width=..., height=...)",
        ),
        (
            deep,
            "clip must be 8 to 16 bit integer, half or single float, got 32 bit; "
            "convert it first, for example with resize.Bicubic(format=...)",
        ),
        (
            a.std.SetFrameProps(_Matrix=3),
            "_Matrix must be one of 1, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, got 3; set it right with std.SetFrameProps",
        ),
    ] + [
        (
            a.std.SetFrameProps(_FieldBased=field),
            f"frame 0 must be progressive, got _FieldBased={field}; deinterlace or match fields first "
            "(bwdif, vivtc), or std.SetFieldBased(clip, 0) where the flag is wrong",
        )
        for field in (1, 2, 3, -1)
    ]
    for clip, text in cases:
        assert message(lambda clip=clip: core.cugan.Upscale(clip)) == f"cugan.Upscale: {text}"
    assert message(lambda: vscugan.upscale(3)) == (  # type: ignore[arg-type]
        "cugan.Upscale: clip must be a video node, got int; hand over the video's node"
    )
    audio = core.std.BlankAudio()
    assert message(lambda: vscugan.upscale(audio)) == (
        "cugan.Upscale: clip must be a video node, got AudioNode; hand over the video's node"
    )
    with pytest.raises(vs.Error):
        core.cugan.Upscale(audio)
    assert a.get_frame(0).width == 16  # the core is still usable


def test_a_later_interlaced_frame_is_an_error_of_that_frame(core: Any) -> None:
    a = core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=2)
    up = core.cugan.Upscale(core.std.Splice([a, a.std.SetFrameProps(_FieldBased=2)]))
    assert up.get_frame(1).width == 32
    assert message(lambda: up.get_frame(3)).startswith("cugan.Upscale: frame 3 must be progressive, got _FieldBased=2")
    assert up.get_frame(0).width == 32


def test_a_source_that_fails(core: Any) -> None:
    def fail(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        raise ValueError("no such frame")

    a = core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=2)
    broken = core.std.ModifyFrame(a, a, fail)
    assert message(lambda: core.cugan.Upscale(broken)).startswith(
        "cugan.Upscale: the clip must give its first frame, got: "
    )


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


def test_scripts_share_one_copy_of_the_weights_which_goes_with_the_last_node(core: Any) -> None:
    gc.collect()
    before = len(network_pass._runtimes)
    clip = core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=1)
    nodes = [core.cugan.Upscale(clip, scale=4, noise="denoise3x", alpha=alpha) for alpha in (0.9, 1.0, 1.1)]
    for node in nodes:
        node.get_frame(0).close()
    assert len(network_pass._runtimes) == before + 1
    del nodes, node
    gc.collect()
    assert len(network_pass._runtimes) == before


def test_a_report_tells_what_ran(core: Any, art_clip: MAKE) -> None:
    clip = core.resize.Spline36(art_clip(80, 64), format=vs.YUV420P8, matrix=1)
    for backend in ("torch", "openvino", "onnxruntime"):
        up = core.cugan.Upscale(clip, scale=6, backend=backend, tile=[64, 32], report=1)
        told = vscugan.describe(up)
        weights = told.pop("weights").split(", ")
        assert told == {"runtime": backend, "device": "cpu", "precision": "fp32", "tile": "64x32, 64x32"}
        assert weights == [
            weights_module.load_released(find(model="se", scale=scale, noise=noise)).sha256
            for scale, noise in ((2, "no-denoise"), (4, "conservative"))
        ]
    assert vscugan.describe(core.cugan.Upscale(clip, report=1, backend="openvino"))["tile"] == "whole"
    assert not any(name.startswith("Cugan") for name in core.cugan.Upscale(clip).get_frame(0).props)
    assert message(lambda: vscugan.describe(clip)) == (
        "cugan.Upscale: clip must tell what made it, got a frame without Cugan props; make it with report=1"
    )


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
