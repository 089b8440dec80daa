"""Frames as arrays: painted, read back and compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

from vscugan.engine.engine import Engine
from vscugan.errors import DeviceError
from vscugan.runtime.openvino_runtime import adds_int8_exactly

INT8_REFUSED = (
    "precision=int8 must have a CPU with VNNI or AMX, got one whose sums of int8 products overflow; use precision=fp32"
)
DATA = Path(__file__).parent.parent / "data"


def or_int8_is_refused[**P](test: Callable[P, None]) -> Callable[P, None]:
    """The test where the CPU adds int8 products exactly; elsewhere that it ends in the refusal."""

    @wraps(test)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        if adds_int8_exactly():
            return test(*arguments, **named)
        with pytest.raises((DeviceError, vs.Error)) as error:
            test(*arguments, **named)
        assert str(error.value).removeprefix("cugan.Upscale: ") == INT8_REFUSED
        return None

    return run


def painted(core: Any, blank: vs.VideoNode, paint: Callable[[int, list[np.ndarray]], object]) -> vs.VideoNode:
    """``blank`` with what ``paint(n, planes)`` writes into each frame."""

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        paint(n, [np.asarray(out[p]) for p in range(out.format.num_planes)])
        return out

    return core.std.ModifyFrame(blank, blank, fill)


def chroma_edge(core: Any, upright: bool) -> vs.VideoNode:
    """A step in U at equal luma, across or down."""
    size = (32, 64) if upright else (64, 32)
    sides = [core.std.BlankClip(format=vs.YUV444PS, width=size[0], height=size[1], color=[0.5, u, 0], length=1)
             for u in (-0.2, 0.2)]  # fmt: skip
    return core.std.StackHorizontal(sides) if upright else core.std.StackVertical(sides)


def edge_position(clip: vs.VideoNode, upright: bool) -> float:
    """Where the step in U lies, in px of the clip."""
    u = planes(clip.resize.Bicubic(format=vs.YUV444PS).get_frame(0))[1].astype(float)
    row = (u[u.shape[0] // 2] if upright else u[:, u.shape[1] // 2])[4:-4]
    return 4 + float(np.sum(row[-1] - row) / (row[-1] - row[0]))


def planes(frame: vs.VideoFrame) -> list[np.ndarray]:
    """Copies of a frame's planes."""
    return [np.array(frame[p]) for p in range(frame.format.num_planes)]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """dB for a full range of 1."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 200.0 if error == 0 else 10 * np.log10(1 / error)


def upscale(engine: Engine, x: np.ndarray) -> np.ndarray:
    """(3, H, W) fp32 through an engine."""
    out = np.empty((3, x.shape[1] * engine.scale, x.shape[2] * engine.scale), np.float32)
    engine.upscale(x, list(out))
    return out


def bits(frame: vs.VideoFrame) -> bytes:
    return b"".join(plane.tobytes() for plane in planes(frame))


def bits_of(clip: vs.VideoNode) -> list[bytes]:
    return [bits(clip.get_frame(n)) for n in range(clip.num_frames)]


def arrays_of(clip: vs.VideoNode) -> list[np.ndarray]:
    """Each frame as (planes, H, W)."""
    return [np.stack(planes(clip.get_frame(n))) for n in range(clip.num_frames)]


def props_of(clip: vs.VideoNode, name: str) -> list[Any]:
    """A prop of each frame."""
    return [clip.get_frame(n).props[name] for n in range(clip.num_frames)]
