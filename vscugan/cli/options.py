"""The options of Upscale on the command line."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from vscugan.errors import ArgumentError
from vscugan.settings import validate


def number(text: str) -> float | int:
    """A number, whole where it is written so."""
    return int(text) if text.lstrip("-").isdigit() else float(text)


def tile(text: str) -> int | list[int]:
    """One size in px, or width and height with a comma between them."""
    sizes = [int(size) for size in text.split(",")]
    return sizes[0] if len(sizes) == 1 else sizes


def device(text: str) -> str | list[str]:
    """A device, or several with commas between them."""
    names = text.split(",")
    return names[0] if len(names) == 1 else names



def script_arguments(pairs: Sequence[str]) -> dict[str, str]:
    """What is handed to a script, of ``--arg NAME=VALUE``, by name."""
    made = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise ArgumentError(f"arg must be NAME=VALUE, got {pair!r}; write it as for vspipe -a")
        made[name] = value
    return made


#: arguments of Upscale, how each is read, and what help says
UPSCALE: dict[str, tuple[Callable[[str], Any], str]] = {
    "scale": (number, "1 to 16 (default 2)"),
    "width": (int, "px, instead of scale"),
    "height": (int, "px, instead of scale"),
    "noise": (str, "conservative, no-denoise (default), denoise1x, denoise2x, denoise3x"),
    "model": (str, "se (default) or pro"),
    "weights": (os.path.abspath, "a weight file of your own"),
    "alpha": (float, "above 0; larger is sharper (default 1)"),
    "kernel": (str, "spline36 (default), lanczos, bicubic, area"),
    "linear": (int, "1: downscale in linear light"),
    "overshoot": (str, "clip (default) or restore"),
    "tile": (tile, "px, or width,height"),
    "memory": (int, "MiB"),
    "device": (device, "auto, cpu, cuda, cuda:N, xpu, xpu:N, mps, or several, as in cuda:0,cuda:1"),
    "backend": (str, "auto, torch, openvino, onnxruntime, tensorrt, directml"),
    "precision": (str, "auto, fp32, fp16, bf16, int8"),
    "streams": (int, "frames in flight"),
    "reuse": (str, "off, exact (default), still"),
    "segment": (int, "frames (default 24)"),
    "threshold": (float, "codes of 8 bit up to which a block is still (default 3)"),
    "gates": (str, "frame (default) or scene"),
}
#: ffmpeg's names of formats that VapourSynth calls otherwise, without the byte order; planes of bytes need no table
FFMPEG_FORMATS = {"rgb24": "RGB24", "gbrp": "RGB24", "gbrp9": "RGB27", "gbrp10": "RGB30", "gbrp12": "RGB36",
                  "gbrp14": "RGB42", "gbrp16": "RGB48", "rgb48": "RGB48", "gbrpf16": "RGBH", "gbrpf32": "RGBS",
                  "grayf16": "GRAYH", "grayf32": "GRAYS", "nv12": "YUV420P8", "p010": "YUV420P10", "p012": "YUV420P12",
                  "p016": "YUV420P16"}  # fmt: skip
#: of these, the ones that look at more than one frame
OF_CLIPS = ("reuse", "segment", "threshold", "gates")


def _names(text: str) -> list[str]:
    return text.split(",")


def add_upscale(parser: argparse.ArgumentParser, *, of_clips: bool = True, several_noises: bool = False) -> None:
    """Give a command the options of Upscale; those left out are absent from the result.

    Without ``of_clips`` those are missing that make no sense for single pictures. With ``several_noises`` noise is a
    list.
    """
    group = parser.add_argument_group("Upscale", "see the README's table; left out is the default")
    for name, (kind, words) in UPSCALE.items():
        if name == "noise" and several_noises:
            several = f"{words}; several with commas between them"
            group.add_argument("--noise", type=_names, action="extend", default=argparse.SUPPRESS, help=several)
        elif of_clips or name not in OF_CLIPS:
            group.add_argument(f"--{name}", type=kind, default=argparse.SUPPRESS, help=words)
    if of_clips:
        words = "of the output, named as by VapourSynth (YUV420P10) or ffmpeg (yuv420p10le)"
        group.add_argument("--format", default=argparse.SUPPRESS, help=words)


def format_name(text: str) -> str:
    """VapourSynth's name of a format for its own or ffmpeg's name; what is neither comes back as it is."""
    name = text.lower().removesuffix("le")
    if found := re.fullmatch(r"(yuv4\d\dp|gray)(\d*)", name):
        return found[1].upper() + (found[2] or "8")
    return FFMPEG_FORMATS.get(name, text)


def given_upscale(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of Upscale that were given, checked.

    Raises: ArgumentError.
    """
    given = {name: value for name, value in vars(arguments).items() if name in UPSCALE}
    validate(**given)
    if hasattr(arguments, "format"):
        given["format"] = format_name(arguments.format)
    return given
