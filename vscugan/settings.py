"""The options of Upscale, and the one place where they are checked."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from vscugan.errors import ArgumentError
from vscugan.models.registry import models
from vscugan.runtime import BACKENDS as RUNTIME_BACKENDS

#: A released model exists for each of these; any other scale is a size.
SCALES = (2, 3, 4)
LARGEST_SCALE = 16
MODELS = ("se", "pro")
#: names come first; the integers are vs-mlrt's
NOISES = {-1: "no-denoise", 0: "conservative", 1: "denoise1x", 2: "denoise2x", 3: "denoise3x"}
KERNELS = ("spline36", "lanczos", "bicubic", "area")
OVERSHOOTS = ("clip", "restore")
REUSES = ("off", "exact", "still")
GATES = ("frame", "scene")
LARGEST_SEGMENT = 240
LARGEST_THRESHOLD = 16
BACKENDS = ("auto", "torch", "openvino", "onnxruntime", "tensorrt", "directml")
#: kinds of devices, and whether one of several can be named
DEVICES = {"auto": False, "cpu": False, "cuda": True, "mps": False, "xpu": True}
PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8")
#: below this the halo costs more than the tile
SMALLEST_TILE_PX = 32
SMALLEST_MEMORY_MIB = 64
LARGEST_STREAMS = 32
LARGEST_DEVICES = 32


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Checked options of one Upscale.

    ``scale`` is None where ``width`` or ``height`` is given, or where ``weights`` is and the file tells;
    ``model`` is None only where the file tells. ``width`` and ``height`` are the output's, None = by the
    display shape. ``tile`` is (width, height) in source pixels, 0 = the whole axis, None = chosen from free
    memory. ``memory`` is in MiB. ``device``: one name for each engine that shares the frames.
    ``format`` is a VapourSynth format id, None = the input's. ``segment`` is in frames, ``threshold`` in codes of
    8 bit.
    """

    scale: float | None = 2
    width: int | None = None
    height: int | None = None
    noise: str = "no-denoise"
    model: str | None = "se"
    weights: str | None = None
    alpha: float = 1.0
    kernel: str = "spline36"
    linear: bool = False
    overshoot: str = "clip"
    tile: tuple[int, int] | None = None
    memory: int | None = None
    device: tuple[str, ...] = ("auto",)
    backend: str = "auto"
    precision: str = "auto"
    streams: int | None = None
    format: int | None = None
    report: bool = False
    reuse: str = "exact"
    segment: int = 24
    threshold: float = 3.0
    gates: str = "frame"

    @property
    def sized(self) -> bool:
        """Whether the output's size is given, and not a scale."""
        return self.width is not None or self.height is not None


def _choice(name: str, value: object, allowed: Sequence[object]) -> None:
    if value not in allowed:
        listed = ", ".join(str(a) for a in allowed[:-1]) + f" or {allowed[-1]}"
        raise ArgumentError(f"{name} must be {listed}, got {value}; use one of these")


def _noise(value: str | int) -> str:
    """The noise level's name for a name or vs-mlrt's integer."""
    text = str(value)
    try:
        return NOISES[int(text)]
    except (ValueError, KeyError):
        pass
    if text in NOISES.values():
        return text
    raise ArgumentError(
        f"noise must be {', '.join(NOISES.values())} or -1 to 3, got {text}; "
        "-1 is no-denoise and 0 is conservative, as in vs-mlrt"
    )


def _tile(value: int | Sequence[int] | None) -> tuple[int, int] | None:
    if value is None:
        return None
    sizes = (value,) if isinstance(value, int) else tuple(value)
    if len(sizes) not in (1, 2):
        raise ArgumentError(f"tile must be one or two numbers, got {len(sizes)}; use tile=[width, height]")
    for size in sizes:
        if size and size < SMALLEST_TILE_PX:
            raise ArgumentError(
                f"tile must be 0 or at least {SMALLEST_TILE_PX} px, got {size}; "
                "use 0 for the whole frame, or leave tile out to have it chosen"
            )
    return (sizes[0], sizes[-1])


def _devices(value: str | Sequence[str]) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value)
    if not names or len(names) > LARGEST_DEVICES:
        raise ArgumentError(
            f"device must be 1 to {LARGEST_DEVICES} devices, got {len(names)}; leave it out to have one chosen"
        )
    return tuple(_device(name) for name in names)


def _device(value: str) -> str:
    kind, _, index = value.partition(":")
    if kind not in DEVICES or (":" in value and not (DEVICES[kind] and re.fullmatch("[0-9]{1,4}", index))):
        raise ArgumentError(
            f"device must be auto, cpu, mps, cuda, cuda:N, xpu or xpu:N, got {value}; use auto to have it chosen"
        )
    return value


def _size(scale: float | None, width: int | None, height: int | None) -> None:
    for name, value in (("width", width), ("height", height)):
        if value is not None and value < 1:
            raise ArgumentError(f"{name} must be at least 1 px, got {value}; leave it out to follow the display shape")
    if scale is None:
        return
    if width is not None or height is not None:
        raise ArgumentError(f"scale must be left out where width or height is given, got {scale:g}; use one of the two")
    if not (math.isfinite(scale) and 1 <= scale <= LARGEST_SCALE):
        raise ArgumentError(
            f"scale must be 1 to {LARGEST_SCALE}, got {scale:g}; 1 restores without resizing, "
            "and width or height makes a smaller picture"
        )


def validate(
    *,
    scale: float | None = None,
    width: int | None = None,
    height: int | None = None,
    noise: str | int | None = None,
    model: str | None = None,
    weights: str | None = None,
    alpha: float = 1.0,
    kernel: str = "spline36",
    linear: bool | int = False,
    overshoot: str = "clip",
    tile: int | Sequence[int] | None = None,
    memory: int | None = None,
    device: str | Sequence[str] = "auto",
    backend: str = "auto",
    precision: str = "auto",
    streams: int | None = None,
    format: int | None = None,
    report: bool | int = False,
    reuse: str = "exact",
    segment: int = 24,
    threshold: float = 3.0,
    gates: str | None = None,
) -> Settings:
    """Check every argument that can be checked without the clip, the device or a file.

    Raises: ArgumentError, whose message names the argument, what is allowed and the way out.
    """
    _size(scale, width, height)
    if model is not None:
        _choice("model", model, models())
    if weights is not None and noise is not None:
        raise ArgumentError(
            f"noise must be left out where weights is given, got {noise}; the file has its own noise level"
        )
    if weights == "":
        raise ArgumentError("weights must be a file, got an empty path; leave it out for the released models")
    if not (math.isfinite(alpha) and 0 < alpha <= 4):
        raise ArgumentError(f"alpha must be above 0 and at most 4, got {alpha:g}; 1 is off, 0.7 to 1.3 is useful")
    if memory is not None and memory < SMALLEST_MEMORY_MIB:
        raise ArgumentError(
            f"memory must be at least {SMALLEST_MEMORY_MIB} MiB, got {memory}; "
            "leave it out for half of what is free, or name a small tile"
        )
    _choice("kernel", kernel, KERNELS)
    _choice("linear", linear, (0, 1))
    _choice("report", report, (0, 1))
    _choice("overshoot", overshoot, OVERSHOOTS)
    _choice("backend", backend, ("auto", *RUNTIME_BACKENDS))
    _choice("precision", precision, PRECISIONS)
    _choice("reuse", reuse, REUSES)
    if gates is not None:
        _choice("gates", gates, GATES)
    if gates == "frame" and reuse == "still":
        raise ArgumentError(
            "gates must be scene with reuse=still, got frame; what stands still must keep its gates, "
            "use reuse=exact to have them from each frame"
        )
    if not 2 <= segment <= LARGEST_SEGMENT:
        raise ArgumentError(f"segment must be 2 to {LARGEST_SEGMENT} frames, got {segment}; leave it out for 24")
    if not 0 <= threshold <= LARGEST_THRESHOLD:
        raise ArgumentError(
            f"threshold must be 0 to {LARGEST_THRESHOLD} codes of 8 bit, got {threshold:g}; "
            "1 to 4 is useful, and denoising the source helps more"
        )
    if streams is not None and not 1 <= streams <= LARGEST_STREAMS:
        raise ArgumentError(f"streams must be 1 to {LARGEST_STREAMS}, got {streams}; leave it out for the default")
    return Settings(
        scale=2 if scale is None and width is None and height is None and weights is None else scale,
        width=width,
        height=height,
        noise=_noise("no-denoise" if noise is None else noise),
        model=model if model is not None or weights is not None else "se",
        weights=weights,
        alpha=alpha,
        kernel=kernel,
        linear=bool(linear),
        overshoot=overshoot,
        tile=_tile(tile),
        memory=memory,
        device=_devices(device),
        backend=backend,
        precision=precision,
        streams=streams,
        format=format,
        report=bool(report),
        reuse=reuse,
        segment=segment,
        threshold=threshold,
        gates=gates or ("scene" if reuse == "still" else "frame"),
    )
