"""Pictures through Upscale: one clip, and one loaded model, for pictures of one kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import vapoursynth as vs

from vscugan.clip.error_text import strip_prefix
from vscugan.clip.upscale import upscale
from vscugan.errors import ArgumentError
from vscugan.image.picture_files import Picture
from vscugan.image.shots import fetch

#: more pictures than a clip has frames are never given to one command
LENGTH = 1 << 20


class Upscaler:
    """Upscales pictures; those of the same size and kind in a row share one clip."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._kind: tuple[object, ...] = ()
        self._clip: vs.VideoNode | None = None
        self._n = 0
        self._picture: Picture | None = None

    def _source(self, format: int, height: int, width: int, part: str) -> vs.VideoNode:
        blank = vs.core.std.BlankClip(format=format, width=width, height=height, length=LENGTH, keep=True)
        assert isinstance(blank, vs.VideoNode)
        if part == "pixels" and format in (vs.GRAY8, vs.GRAY16):
            blank = blank.std.SetFrameProps(_Range=1)  # gray of a picture is full range, as its RGB is

        def paint(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
            painted = f.copy()
            array = getattr(self._picture, part)
            for plane in range(painted.format.num_planes):
                np.asarray(painted[plane])[:] = array[..., plane] if part == "pixels" else array
            return painted

        node = blank.std.ModifyFrame(blank, paint)
        assert isinstance(node, vs.VideoNode)
        return node

    def _build(self, picture: Picture) -> vs.VideoNode:
        height, width, samples = picture.pixels.shape
        deep = picture.bits == 16
        gray = vs.GRAY16 if deep else vs.GRAY8
        colour = (vs.RGB48 if deep else vs.RGB24) if samples == 3 else gray
        alpha = None if picture.alpha is None else self._source(gray, height, width, "alpha")
        try:
            return upscale(self._source(colour, height, width, "pixels"), alpha_clip=alpha, **self._options)
        except vs.Error as error:
            raise ArgumentError(strip_prefix(error)) from error

    def upscale(self, picture: Picture) -> Picture:
        """The picture at its new size, with everything that it carried.

        Raises: ArgumentError, FrameError.
        """
        self._picture = picture
        kind = (picture.pixels.shape, picture.bits, picture.alpha is None)
        if self._clip is None or kind != self._kind:
            self._clip, self._kind, self._n = self._build(picture), kind, 0
        self._n += 1  # frame 0 was read, and may be cached, when the clip was built
        with fetch(self._clip, self._n) as frame:
            planes = [np.array(frame[plane]) for plane in range(frame.format.num_planes)]
            enlarged = frame.props.get("_Alpha")
            alpha = None
            if picture.alpha is not None:
                assert isinstance(enlarged, vs.VideoFrame)
                alpha = np.array(enlarged[0])
        return replace(picture, pixels=np.stack(planes, axis=-1), alpha=alpha)
