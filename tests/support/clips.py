"""Clips for Upscale, and what is asked of its frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

from support.frames import painted, planes

#: The fixture ``art_clip``.
MAKE = Callable[..., vs.VideoNode]


def message(call: Callable[[], object]) -> str:
    with pytest.raises(vs.Error) as error:
        call()
    return str(error.value)


def equal(a: vs.VideoFrame, b: vs.VideoFrame) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(planes(a), planes(b), strict=True))


def differences(a: vs.VideoFrame, b: vs.VideoFrame) -> float:
    return max(
        float(np.abs(x.astype(np.float64) - y.astype(np.float64)).max())
        for x, y in zip(planes(a), planes(b), strict=True)
    )


def still(core: Any, format: int, pixels: np.ndarray) -> vs.VideoNode:
    """A clip of two frames of these planes."""
    height, width = pixels.shape[-2:]

    def paint(planes: list[np.ndarray]) -> None:
        for plane, values in zip(planes, pixels.reshape(-1, height, width), strict=True):
            plane[:] = values

    blank = core.std.BlankClip(format=format, width=width, height=height, length=2, keep=True)
    return painted(core, blank, lambda _, planes: paint(planes))


def changing(core: Any, picture: np.ndarray, width: int = 96, height: int = 64) -> vs.VideoNode:
    """RGBS: two equal frames, and one in which an area of 8x8 px has changed."""
    blank = core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=3, keep=True)

    def paint(n: int, planes: list[np.ndarray]) -> None:
        for p, plane in enumerate(planes):
            plane[:] = picture[p, 100 : 100 + height, 200 : 200 + width]
            if n == 2:
                plane[24:32, 40:48] = 0.5

    return painted(core, blank, paint)


def alpha_of(frame: vs.VideoFrame) -> np.ndarray:
    return np.array(frame.props["_Alpha"][0])
