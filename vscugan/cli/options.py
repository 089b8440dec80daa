"""The options of Upscale on the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vscugan.errors import ArgumentError
from vscugan.option_row import Option
from vscugan.option_values import listed
from vscugan.settings import OPTIONS, Settings, validate


def script_arguments(pairs: Sequence[str]) -> dict[str, str]:
    """What is handed to a script, of ``--arg NAME=VALUE``, by name."""
    arguments = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise ArgumentError(f"arg must be NAME=VALUE, got {pair!r}; write it as for vspipe -a")
        arguments[name] = value
    return arguments


#: the options of Upscale that commands have
UPSCALE = {name: option for name, option in OPTIONS.items() if option.on_command_line}
#: ffmpeg's names of formats that VapourSynth calls otherwise, without the byte order; planes of bytes need no table
FFMPEG_FORMATS = {"rgb24": "RGB24", "gbrp": "RGB24", "gbrp9": "RGB27", "gbrp10": "RGB30", "gbrp12": "RGB36",
                  "gbrp14": "RGB42", "gbrp16": "RGB48", "rgb48": "RGB48", "gbrpf16": "RGBH", "gbrpf32": "RGBS",
                  "grayf16": "GRAYH", "grayf32": "GRAYS", "nv12": "YUV420P8", "p010": "YUV420P10", "p012": "YUV420P12",
                  "p016": "YUV420P16"}  # fmt: skip


def _help(name: str, option: Option) -> str:
    default = getattr(Settings, name)
    if option.choices:
        choices = [f"{each} (default)" if each == default != "auto" else each for each in option.names]
        return listed(choices) if len(choices) == 2 else ", ".join(choices)
    has_number = isinstance(default, int | float) and not isinstance(default, bool)
    return f"{option.help} (default {default:g})" if has_number else option.help


def names(text: str) -> list[str]:
    return text.split(",")


def whole_numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def add_upscale(parser: argparse.ArgumentParser, *, of_clips: bool = True, several_noises: bool = False) -> None:
    """Give a command the options of Upscale; those left out are absent from the result.

    Without ``of_clips`` those are missing that make no sense for single pictures. With ``several_noises`` noise is a
    list.
    """
    group = parser.add_argument_group("Upscale", "the arguments of core.cugan.Upscale; left out is the default")
    for name, option in UPSCALE.items():
        text = _help(name, option)
        if name == "noise" and several_noises:
            several = f"{text}; several with commas between them"
            group.add_argument("--noise", type=names, action="extend", default=argparse.SUPPRESS, help=several)
        elif of_clips or not option.of_clips:
            group.add_argument(f"--{name}", type=option.reader, default=argparse.SUPPRESS, help=text)


def format_name(text: str) -> str:
    """VapourSynth's name of a format for its own or ffmpeg's name; what is neither comes back as it is."""
    name = text.lower().removesuffix("le")
    if found := re.fullmatch(r"(yuv4\d\dp|gray)(\d*)", name):
        return found[1].upper() + (found[2] or "8")
    return FFMPEG_FORMATS.get(name, text)


def check_upscale(options: Mapping[str, Any]) -> tuple[dict[str, Any], Settings]:
    """Options as the command line has them: as an encode takes them, and as they are checked, without the format.

    Raises: ArgumentError.
    """
    settings = validate(**{name: value for name, value in options.items() if name != "format"})
    formats = {"format": format_name(options["format"])} if "format" in options else {}
    return {**options, **formats}, settings


def given_upscale(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of Upscale that were given, checked.

    Raises: ArgumentError.
    """
    return check_upscale({name: value for name, value in vars(arguments).items() if name in UPSCALE})[0]
