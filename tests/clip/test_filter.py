"""What is refused before a frame is asked for, what the log says, and what scripts share."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import pytest
import torch
import vapoursynth as vs
from support.clips import MAKE, message

import vscugan
from vscugan.engine import network_pass, route
from vscugan.models import weights as weights_module
from vscugan.models.registry import models
from vscugan.option_values import listed

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
    ({"model": "x"}, f"model must be {listed(models())}, got x; use one of these"),
    (
        {"noise": "denoise9x"},
        "noise must be conservative, no-denoise, denoise0x, denoise1x, denoise2x, denoise3x or -1 to 3, got denoise9x; "
        "-1 is no-denoise, and 0 is conservative, as in vs-mlrt, or waifu2x's denoise0x",
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
        {"device": "gpu1"},
        "device must be auto, cpu, mps, gpu, gpu:N, cuda, cuda:N, xpu or xpu:N, got gpu1; use auto to have it chosen",
    ),
    (
        {"device": "cuda:\u00b2"},
        "device must be auto, cpu, mps, gpu, gpu:N, cuda, cuda:N, xpu or xpu:N, got cuda:\u00b2; "
        "use auto to have it chosen",
    ),
    (
        {"device": f"cuda:{'9' * 5000}"},
        f"device must be auto, cpu, mps, gpu, gpu:N, cuda, cuda:N, xpu or xpu:N, got cuda:{'9' * 5000}; "
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


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a device that is not there")
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
        assert message(partial(core.cugan.Upscale, clip)) == f"cugan.Upscale: {text}"
    assert message(lambda: vscugan.upscale(3)) == (
        "cugan.Upscale: clip must be a video node, got int; hand over the video's node"
    )
    audio = core.std.BlankAudio()
    assert message(lambda: vscugan.upscale(audio)) == (
        "cugan.Upscale: clip must be a video node, got AudioNode; hand over the video's node"
    )
    with pytest.raises(vs.Error):
        core.cugan.Upscale(audio)
    assert a.get_frame(0).width == 16  # the core is still usable


def test_a_source_that_fails(core: Any) -> None:
    def fail(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        raise ValueError("no such frame")

    a = core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=2)
    broken = core.std.ModifyFrame(a, a, fail)
    assert message(lambda: core.cugan.Upscale(broken)).startswith(
        "cugan.Upscale: the clip must give its first frame, got: "
    )


def test_alpha_that_does_not_go_with_the_clip(core: Any) -> None:
    clip = core.std.BlankClip(format=vs.RGB24, width=32, height=32, length=2)
    for alpha_clip, text in (
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
            vscugan.upscale(clip, alpha_clip=alpha_clip)
        assert str(error.value) == f"cugan.Upscale: {text}"


def test_linear_light_of_an_unknown_transfer(core: Any) -> None:
    clip = core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=1).std.SetFrameProps(_Transfer=12)
    assert core.cugan.Upscale(clip, scale=1).get_frame(0).width == 32
    with pytest.raises(vs.Error) as error:
        core.cugan.Upscale(clip, scale=1, linear=1)
    assert str(error.value) == (
        "cugan.Upscale: _Transfer must be one of 1, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 18 for linear=1, got 12; "
        "use linear=0, or set it right with std.SetFrameProps"
    )


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
