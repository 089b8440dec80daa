"""The options of Upscale on the command line."""

from __future__ import annotations

import argparse
import os

import pytest

from vscugan import runtime
from vscugan.cli.options import add_upscale, format_name, given_upscale

HELP = {
    "scale": "1 to 16 (default 2)",
    "width": "px, instead of scale",
    "height": "px, instead of scale",
    "noise": "conservative, no-denoise (default), denoise0x, denoise1x, denoise2x, denoise3x",
    "strength": "in place of noise: 0 is conservative, 1 to 3 are denoise1x to denoise3x",
    "model": "se (default), pro, fast, waifu2x, waifu2x-anime, waifu2x-photo, realesrgan-animevideo, realesrgan-anime, "
    "realesrgan",
    "weights": "a weight file of your own",
    "alpha": "above 0; larger is sharper (default 1)",
    "kernel": "spline36 (default), lanczos, bicubic, area",
    "linear": "1: downscale in linear light",
    "overshoot": "clip (default) or restore",
    "tile": "px, or width,height",
    "halo": "px that a tile sees around itself, of a model whose tiles are not exact",
    "memory": "MiB",
    "device": "auto, cpu, gpu, gpu:N, cuda, cuda:N, xpu, xpu:N, mps, or several, as in cuda:0,cuda:1",
    "backend": "auto, torch, openvino, onnxruntime, ncnn, tensorrt, directml, webgpu",
    "precision": "auto, fp32, fp16, bf16, int8",
    "streams": "frames in flight",
    "reuse": "off, exact (default), still",
    "segment": "frames (default 24)",
    "threshold": "codes of 8 bit up to which a block is still (default 3)",
    "gates": "frame (default) or scene",
    "format": "of the output, named as by VapourSynth (YUV420P10) or ffmpeg (yuv420p10le)",
}
OF_CLIPS = ("reuse", "segment", "threshold", "gates", "format")


def helped(**kind: bool) -> dict[str, str]:
    """The help of each option, by its name, in order."""
    parser = argparse.ArgumentParser(add_help=False)
    add_upscale(parser, **kind)
    return {action.dest: action.help or "" for action in parser._actions}


def test_help_is_made_from_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(helped().items()) == list(HELP.items())
    assert helped(of_clips=False) == {name: text for name, text in HELP.items() if name not in OF_CLIPS}
    assert helped(several_noises=True) == HELP | {"noise": f"{HELP['noise']}; several with commas between them"}
    monkeypatch.setitem(runtime.BACKENDS, "toy", "toy_runtime")
    assert helped()["backend"] == f"{HELP['backend']}, toy"


def test_values_are_read_as_the_rows_say() -> None:
    parser = argparse.ArgumentParser()
    add_upscale(parser)
    argv = "--scale 2 --noise 1 --tile 64,32 --device cuda:0,cpu --memory 99 --threshold 2 --linear 1 --format gray10"
    given = given_upscale(parser.parse_args(argv.split()))
    assert given == {
        "scale": 2, "noise": "1", "tile": [64, 32], "device": ["cuda:0", "cpu"], "memory": 99, "threshold": 2.0,
        "linear": 1, "format": "GRAY10",
    }  # fmt: skip
    assert type(given["scale"]) is int  # as it is written into plans and certificates
    argv = "--scale 1.5 --tile 64 --device cpu --weights x.pth"
    given = given_upscale(parser.parse_args(argv.split()))
    assert given == {"scale": 1.5, "tile": 64, "device": "cpu", "weights": os.path.abspath("x.pth")}
    assert given_upscale(parser.parse_args([])) == {}


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
