"""The options of Upscale: one row each, and the one place where they are checked.

To add an option, add a row to ``Settings``. Tests say what follows by hand: the parameter of ``vscugan.upscale``, a
section in docs/reference/upscale.md, and ``python scripts/make_stub.py``. setup.py reads the rows, too, so this module
and what it imports need no other package.
"""

# no `from __future__ import annotations`: rows stand in annotations, and must not be texts
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_args

from vscugan.errors import ArgumentError
from vscugan.models.registry import NOISES, default_noise, default_scale, mixes_levels, models, noise_named
from vscugan.option_row import Option, signature
from vscugan.option_values import (
    at_least,
    between,
    check_flag,
    check_path,
    device_names,
    limits,
    listed,
    noise_level,
    number,
    plain,
    tile_size,
)
from vscugan.runtime import BACKENDS

#: What a weight file's scale may be; any other is a size.
SCALES = (2, 3, 4)
LARGEST_SCALE = 16
LARGEST_HALO_PX = 1024
NOISE_NAMES = ("conservative", "no-denoise", "denoise0x", "denoise1x", "denoise2x", "denoise3x")
LARGEST_SEGMENT = 240
LARGEST_THRESHOLD = 16
#: kinds of devices, and whether one of several can be named
DEVICES = {"auto": False, "cpu": False, "cuda": True, "gpu": True, "mps": False, "xpu": True}
#: below this the halo costs more than the tile
SMALLEST_TILE_PX = 32
SMALLEST_MEMORY_MIB = 64
LARGEST_STREAMS = 32
LARGEST_DEVICES = 32
FOLLOW_THE_SHAPE = "leave it out to follow the display shape"


def backend_names() -> tuple[str, ...]:
    """What ``backend`` may be."""
    return ("auto", *BACKENDS)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Checked options of one Upscale, in the order in which the command line's help lists them.

    ``scale`` is None where ``width`` or ``height`` is given, or where ``weights`` is and the file says it;
    ``model`` is None only where the file says it, ``noise`` where the model has no levels or ``strength`` is given.
    ``width`` and ``height`` are the output's, None = by the display shape. ``tile`` is (width, height) in source
    pixels, 0 = the whole axis, None = chosen from free memory. ``memory`` is in MiB. ``device``: one name for each
    engine that shares the frames. ``format`` is a VapourSynth format id, None = the input's. ``segment`` is in frames,
    ``threshold`` in codes of 8 bit.
    """

    # fmt: off
    scale: Annotated[float | None, Option(
        position=1, type="float", read=number, help=f"1 to {LARGEST_SCALE}",
        check=between(
            1, LARGEST_SCALE, advice="1 restores without resizing, and width or height makes a smaller picture"
        ),
    )] = 2
    width: Annotated[int | None, Option(
        position=11, type="int", help="px, instead of scale", check=at_least(1, "px", advice=FOLLOW_THE_SHAPE)
    )] = None
    height: Annotated[int | None, Option(
        position=12, type="int", help="px, instead of scale", check=at_least(1, "px", advice=FOLLOW_THE_SHAPE)
    )] = None
    noise: Annotated[str | None, Option(
        position=2, type="data", python=str | int, choices=NOISE_NAMES, check=noise_level(NOISE_NAMES, NOISES)
    )] = "no-denoise"
    strength: Annotated[float | None, Option(
        position=25, type="float", help="in place of noise: 0 is conservative, 1 to 3 are denoise1x to denoise3x",
        check=between(0, 3, advice="0 is conservative, and 3 is denoise3x"),
    )] = None
    model: Annotated[str | None, Option(position=3, type="data", choices=models)] = "se"
    weights: Annotated[str | None, Option(
        position=4, type="data", read=os.path.abspath, help="a weight file of your own", check=check_path
    )] = None
    alpha: Annotated[float, Option(
        position=5, type="float", help="above 0; larger is sharper",
        check=limits(lambda alpha: 0 < alpha <= 4, "above 0 and at most 4", "1 is off, 0.7 to 1.3 is useful"),
    )] = 1.0
    kernel: Annotated[str, Option(
        position=13, type="data", choices=("spline36", "lanczos", "bicubic", "area")
    )] = "spline36"
    linear: Annotated[bool, Option(
        position=14, type="int", python=bool, help="1: downscale in linear light", check=check_flag
    )] = False
    overshoot: Annotated[str, Option(position=15, type="data", choices=("clip", "restore"))] = "clip"
    tile: Annotated[tuple[int, int] | None, Option(
        position=6, type="int[]", same_picture=True, help="px, or width,height", check=tile_size(SMALLEST_TILE_PX)
    )] = None
    halo: Annotated[int | None, Option(
        position=24, type="int", help="px that a tile sees around itself, of a model whose tiles are not exact",
        check=between(0, LARGEST_HALO_PX, "px", advice="leave it out for the model's own"),
    )] = None
    memory: Annotated[int | None, Option(
        position=19, type="int", same_picture=True, help="MiB",
        check=at_least(
            SMALLEST_MEMORY_MIB, "MiB", advice="leave it out for half of what is free, or name a small tile"
        ),
    )] = None
    device: Annotated[tuple[str, ...], Option(
        position=7, type="data[]", same_picture=True, check=device_names(DEVICES, LARGEST_DEVICES),
        help="auto, cpu, gpu, gpu:N, cuda, cuda:N, xpu, xpu:N, mps, or several, as in cuda:0,cuda:1",
    )] = ("auto",)
    backend: Annotated[str, Option(position=17, type="data", same_picture=True, choices=backend_names)] = "auto"
    precision: Annotated[str, Option(
        position=8, type="data", choices=("auto", "fp32", "fp16", "bf16", "int8")
    )] = "auto"
    streams: Annotated[int | None, Option(
        position=9, type="int", same_picture=True, help="frames in flight",
        check=between(1, LARGEST_STREAMS, advice="leave it out for the default"),
    )] = None
    reuse: Annotated[str, Option(
        position=20, type="data", of_clips=True, choices=("off", "exact", "still")
    )] = "exact"
    segment: Annotated[int, Option(
        position=21, type="int", of_clips=True, help="frames",
        check=between(2, LARGEST_SEGMENT, "frames", advice="leave it out for 24"),
    )] = 24
    threshold: Annotated[float, Option(
        position=22, type="float", of_clips=True, help="codes of 8 bit up to which a block is still",
        check=between(
            0, LARGEST_THRESHOLD, "codes of 8 bit", advice="1 to 4 is useful, and denoising the source helps more"
        ),
    )] = 3.0
    gates: Annotated[str, Option(
        position=23, type="data", of_clips=True, choices=("frame", "scene")
    )] = "frame"
    format: Annotated[int | None, Option(
        position=10, type="int", of_clips=True, read=str,  # names; their numbers are VapourSynth's
        help="of the output, named as by VapourSynth (YUV420P10) or ffmpeg (yuv420p10le)",
    )] = None
    report: Annotated[bool, Option(
        position=18, type="int", python=bool, on_command_line=False, check=check_flag
    )] = False
    # fmt: on

    @property
    def sized(self) -> bool:
        """Whether the output's size is given, and not a scale."""
        return self.width is not None or self.height is not None


#: by name, in the order of the fields
OPTIONS: Mapping[str, Option] = {each.name: get_args(each.type)[1] for each in fields(Settings)}
#: everything that the plugin takes, in its order; the clips are no settings
ARGUMENTS: Mapping[str, Option] = dict(
    sorted(
        {"clip": Option(position=0, type="vnode"), "alpha_clip": Option(position=16, type="vnode"), **OPTIONS}.items(),
        key=lambda item: item[1].position,
    )
)
SIGNATURE = signature(ARGUMENTS, required="clip")


def _check_scale_or_size(given: Mapping[str, Any]) -> None:
    if "scale" in given and given.keys() & {"width", "height"}:
        raise ArgumentError(
            f"scale must be left out where width or height is given, got {plain(given['scale'])}; use one of the two"
        )


def _check_noise_or_weights(given: Mapping[str, Any]) -> None:
    if given.keys() >= {"noise", "weights"} and not mixes_levels(given.get("model")):
        raise ArgumentError(
            f"noise must be left out where weights is given, got {given['noise']}; the file has its own noise level"
        )


def _check_strength(given: Mapping[str, Any]) -> None:
    if "strength" not in given:
        return
    if "noise" in given:
        raise ArgumentError(
            f"strength must be left out where noise is given, got {plain(given['strength'])}; use one of the two"
        )
    if not mixes_levels(given.get("model")):
        mixing = listed([f"model={name}" for name in models() if mixes_levels(name)])
        raise ArgumentError(
            f"strength must be left out without {mixing}, got {plain(given['strength'])}; use noise, or {mixing}"
        )


def _check_gates_with_reuse(given: Mapping[str, Any]) -> None:
    if given.get("gates") == "frame" and given.get("reuse") == "still":
        raise ArgumentError(
            "gates must be scene with reuse=still, got frame; what stands still must keep its gates, "
            "use reuse=exact to have them from each frame"
        )


#: Of several that are wrong, the first of these is named. Options that are not here are checked last.
CHECK_ORDER = (
    "width", "height", "scale", "model", "weights", "alpha", "memory", "kernel", "linear", "report", "overshoot",
    "backend", "precision", "reuse", "gates", "segment", "threshold", "streams", "noise", "strength", "tile", "halo",
    "device",
)  # fmt: skip
#: What options ask of each other, by the option before whose own check that is looked at.
RULES: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "scale": _check_scale_or_size,
    "weights": _check_noise_or_weights,
    "segment": _check_gates_with_reuse,
    "tile": _check_strength,
}


def validate(**given: Any) -> Settings:
    """Check every argument that can be checked without the clip, the device or a file; None is one that is left out.

    Raises: ArgumentError, whose message names the argument, what is allowed and the way out.
    """
    if unknown := given.keys() - OPTIONS.keys():
        raise TypeError(f"validate() got an unexpected keyword argument {min(unknown)!r}")
    given = {name: value for name, value in given.items() if value is not None}
    values: dict[str, Any] = {}
    for name in dict.fromkeys((*CHECK_ORDER, *OPTIONS)):
        if name in RULES:
            RULES[name](given)
        if name in given:
            values[name] = OPTIONS[name].checked(name, given[name])
    values = _defaults_by(given) | values
    if isinstance(values.get("noise"), int):
        values["noise"] = noise_named(values.get("model") or "se", values["noise"])
    return Settings(**values)


def _defaults_by(given: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that follow from other options."""
    defaults: dict[str, Any] = {}
    if "model" in given:
        defaults |= {"scale": default_scale(given["model"]), "noise": default_noise(given["model"])}
    if "strength" in given:
        defaults["noise"] = None
    if given.keys() & {"width", "height", "weights"}:
        defaults["scale"] = None
    if "weights" in given:
        defaults["model"] = None
    if given.get("reuse") == "still":
        defaults["gates"] = "scene"
    return defaults
