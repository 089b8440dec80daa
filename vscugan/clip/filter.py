"""What the bridge calls: one object for each Upscale in a script."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vscugan.clip import colour
from vscugan.clip.colour import Props, ResizeCall, VideoFormat
from vscugan.engine import Engine
from vscugan.errors import ClipError, CuganError
from vscugan.settings import validate

logger = logging.getLogger(__name__)

PREFIX = "cugan.Upscale: "

#: A plane as the bridge hands it over: bytes, height in px, stride in bytes.
Plane = tuple[memoryview, int, int]


def _worded[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Word every exception for the script's author; the bridge shows only the exception's text."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except CuganError as error:
            raise RuntimeError(f"{PREFIX}{error}") from error
        except Exception as error:
            logger.exception("unexpected error")
            raise RuntimeError(f"{PREFIX}internal error, please report it\n{traceback.format_exc()}") from error

    return call


def _array(plane: Plane, width: int) -> NDArray[np.float32]:
    """The (height, width) fp32 view of a plane; it must not outlive the call."""
    data, height, stride = plane
    return np.frombuffer(data, dtype=np.float32).reshape(height, stride // 4)[:, :width]


class Filter:
    """One Upscale: its settings, its engine and its colour policy. Safe to call from several threads."""

    def __init__(
        self,
        source: VideoFormat,
        size: tuple[int, int],
        target: VideoFormat,
        engine: Engine,
        log: Callable[[str], None],
    ) -> None:
        self.scale = engine.scale
        self.format_id = target.id
        self._source, self._target, self._engine = source, target, engine
        self._width, self._height = size
        self._log = log
        self._matrix_told = False

    @_worded
    def to_rgb(self, n: int, props: Props) -> ResizeCall | None:
        """The resizer's call for source frame ``n``; refuses what must not be upscaled."""
        refuse_interlaced(n, props)
        return colour.to_rgb(props, self._source, self._width, self._height)

    @_worded
    def from_rgb(self, n: int, props: Props) -> tuple[ResizeCall | None, int, bool]:
        """The resizer's call for output frame ``n``, the matrix to write (-1: none), and whether the format is new."""
        matrix = -1
        if self._source.color_family == self._target.color_family == colour.YUV:
            value, was_decided = colour.decided_matrix(props, self._width, self._height)
            if was_decided:
                matrix = value
                if not self._matrix_told:
                    self._matrix_told = True
                    name = "170m" if value == colour.MATRIX_170M else "709"
                    self._log(f"_Matrix is unspecified: taken as {name} by the size, and written into the output")
        call = colour.from_rgb(props, self._source, self._target, self._width, self._height)
        return call, matrix, self._source != self._target

    @_worded
    def upscale(self, n: int, width: int, source: list[Plane], target: list[Plane]) -> None:
        """Upscale frame ``n``; one source plane (gray) stands for three."""
        planes = [_array(p, width) for p in source]
        rgb = np.stack(planes if len(planes) == 3 else planes * 3)
        out = [_array(p, width * self.scale) for p in target]
        self._engine.upscale(rgb, out, n)


def refuse_interlaced(n: int, props: Props) -> None:
    """Raise ClipError for a frame of two fields."""
    field = props.get("_FieldBased", 0)
    if field in (1, 2):
        raise ClipError(
            f"frame {n} must be progressive, got _FieldBased={field}; deinterlace or match fields first "
            "(bwdif, vivtc), or std.SetFieldBased(clip, 0) where the flag is wrong"
        )


@_worded
def create(
    arguments: dict[str, Any],
    video: tuple[int, int, int, int, int, int, int],
    props: Props,
    log: Callable[[str], None],
) -> Filter:
    """Check clip and arguments, then load the model.

    ``video``: width, height, colour family, sample type, bits, subsampling_w, subsampling_h;
    ``props``: of the first frame; ``log`` writes one line to the core's log.
    """
    settings = validate(**arguments)
    width, height, *description = video
    names = ("color_family", "sample_type", "bits", "subsampling_w", "subsampling_h")
    source = VideoFormat(**dict(zip(names, description, strict=True)))
    if source.color_family == 0:
        raise ClipError(
            "clip must have one format, got a variable one; convert the frames to one first, "
            "for example with resize.Bicubic(format=...)"
        )
    if not width or not height:
        raise ClipError(
            "clip must have one size, got a variable one; resize the frames to one first, "
            "for example with resize.Bicubic(width=..., height=...)"
        )
    if not source.is_supported:
        raise ClipError(
            f"clip must be 8 to 16 bit integer, half or single float, got {source.bits} bit; "
            "convert it first, for example with resize.Bicubic(format=...)"
        )
    refuse_interlaced(0, props)
    if source.color_family == colour.YUV:
        colour.decided_matrix(props, width, height)

    def tell(text: str) -> None:
        log(f"{PREFIX}{text}")

    # the output's size needs the scale, which may be in the file: check the format's id first
    colour.output_format(source, settings.format, 4, 4)
    engine = Engine(settings, notify=tell)
    target = colour.output_format(source, settings.format, width * engine.scale, height * engine.scale)
    return Filter(source, (width, height), target, engine, tell)
