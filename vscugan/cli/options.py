"""The options of Upscale on the command line, and how errors end a command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from vscugan.errors import ArgumentError, CuganError, DiskError
from vscugan.settings import validate


def _number(text: str) -> float | int:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _tile(text: str) -> int | list[int]:
    sizes = [int(size) for size in text.split(",")]
    return sizes[0] if len(sizes) == 1 else sizes


def device(text: str) -> str | list[str]:
    """A device, or several with commas between them."""
    names = text.split(",")
    return names[0] if len(names) == 1 else names


#: arguments of Upscale, how each is read, and what help says
UPSCALE: dict[str, tuple[Callable[[str], Any], str]] = {
    "scale": (_number, "1 to 16 (default 2)"),
    "width": (int, "px, instead of scale"),
    "height": (int, "px, instead of scale"),
    "noise": (str, "conservative, no-denoise (default), denoise1x, denoise2x, denoise3x"),
    "model": (str, "se (default) or pro"),
    "weights": (os.path.abspath, "a weight file of your own"),
    "alpha": (float, "above 0; larger is sharper (default 1)"),
    "kernel": (str, "spline36 (default), lanczos, bicubic, area"),
    "linear": (int, "1: downscale in linear light"),
    "overshoot": (str, "clip (default) or restore"),
    "tile": (_tile, "px, or width,height"),
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
#: of these, the ones that look at more than one frame
OF_CLIPS = ("reuse", "segment", "threshold", "gates")


def add_upscale(parser: argparse.ArgumentParser, *, of_clips: bool = True) -> None:
    """Give a command the options of Upscale; those left out are absent from the result.

    Without ``of_clips`` those are missing that make no sense for single pictures.
    """
    group = parser.add_argument_group("Upscale", "see the README's table; left out is the default")
    for name, (kind, words) in UPSCALE.items():
        if of_clips or name not in OF_CLIPS:
            group.add_argument(f"--{name}", type=kind, default=argparse.SUPPRESS, help=words)
    if of_clips:
        group.add_argument("--format", default=argparse.SUPPRESS, help="VapourSynth's name of the output format")


def given_upscale(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of Upscale that were given, checked.

    Raises: ArgumentError.
    """
    given = {name: value for name, value in vars(arguments).items() if name in UPSCALE}
    validate(**given)
    if hasattr(arguments, "format"):
        given["format"] = arguments.format
    return given


def named_files(words: Sequence[str], valued: Sequence[str]) -> list[str]:
    """The words with ``./`` before files whose names begin with ``-``, which would be read as options.

    ``valued`` are the options whose next word is a path, whatever it begins with.
    """
    made: list[str] = []
    for word in words:
        is_value = bool(made) and made[-1] in valued
        if word.startswith("-") and (is_value or os.path.lexists(word)):
            word = f"./{word}"
        made.append(word)
    return made


def guarded(command: str, function: Callable[[], int]) -> int:
    """Run a command; errors become one line on stderr and the exit code of their kind."""
    try:
        return function()
    except CuganError as error:
        print(f"vscugan {command}: {error}", file=sys.stderr)
        return error.exit_code
    except ImportError as error:  # packages of the extra are imported where they are needed
        print(
            f"vscugan {command}: {error.name or 'a package'} must be installed, got none; "
            'run pip install "vscugan[encode]"',
            file=sys.stderr,
        )
        return ArgumentError.exit_code
    except BrokenPipeError:  # whoever read the output is gone
        silence()
        return 0
    except OSError as error:
        print(f"vscugan {command}: files must be usable, got {error}; mend it, then run this again", file=sys.stderr)
        return DiskError.exit_code


def silence() -> None:
    """Send what is still printed to nowhere, where nobody reads it any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
