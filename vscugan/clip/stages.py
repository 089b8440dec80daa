"""The pixel stages of an Upscale: what the bridge calls with the planes of a frame.

Each stage has a ``width``, ``height`` and ``format_id`` of its output, ``prepare(n, props)``, which says how the
resizer must make the stage's input of the frame before it, and ``compute``, which makes a frame or says which
others it must read first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from vscugan import pictures
from vscugan.clip import colour
from vscugan.clip.colour import Props, ResizeCall, VideoFormat
from vscugan.clip.wording import worded
from vscugan.engine import Engine
from vscugan.errors import ClipError
from vscugan.reuse.contents import Contents, content_hash
from vscugan.reuse.mode import Mode, Source, Target

#: A plane as the bridge hands it over: bytes, height in px, stride in bytes.
Plane = tuple[memoryview, int, int]
#: What ``compute`` returns: the frames of the input that must be read first; or else the earlier ``made`` whose planes
#: are the result, None where the target was written, and the props to set on the stage's frame.
Answer = list[int] | tuple[object, Mapping[str, int | float | str]]
#: A frame as the bridge hands it over: width in px, planes, props, and why it can't be read, empty where it was read.
Frame = tuple[int, list[Plane], Props, str]


def array(plane: Plane, width: int) -> NDArray[np.float32]:
    """The (height, width) fp32 view of a plane; it must not outlive the call."""
    data, height, stride = plane
    return np.frombuffer(data, dtype=np.float32).reshape(height, stride // 4)[:, :width]


def refuse_interlaced(n: int, props: Props) -> None:
    """Raise ClipError for a frame of two fields, or one whose _FieldBased does not exist."""
    field = props.get("_FieldBased", 0)
    if field:
        raise ClipError(
            f"frame {n} must be progressive, got _FieldBased={field}; deinterlace or match fields first "
            "(bwdif, vivtc), or std.SetFieldBased(clip, 0) where the flag is wrong"
        )


class Stage(ABC):
    """A step whose pixels we compute; see the module's docstring. Safe to call from several threads.

    ``reads_others``: whether a frame may need others of the input than its own; then ``begin(n)`` and ``end(n)``
    are called before and after.
    """

    reads_others = False

    def __init__(self, width: int, height: int, format: VideoFormat) -> None:
        self.width, self.height, self.format_id = width, height, format.id

    def prepare(self, n: int, props: Props) -> list[ResizeCall]:
        """The resizer's calls between the frame before this stage and the stage."""
        return []

    @abstractmethod
    def compute(self, n: int, frames: dict[int, Frame], target: list[Plane], made: object) -> Answer:
        """Make frame ``n``, or say which frames must be read first.

        ``frames``: of the input, at first frame ``n``, then those that the call before has asked for. Frame ``n`` was
        read; others may not have been. ``made``: the frame that ``target`` belongs to.
        """

    def close(self) -> None:  # noqa: B027  nothing to free, for most
        """The node is gone."""


class Network(Stage):
    """RGBS, or GRAYS that stands for three planes, through the network; a matte may follow as the last plane."""

    def __init__(
        self,
        mode: Mode,
        source: VideoFormat,
        size: tuple[int, int],
        scale: int,
        *,
        has_matte: bool,
        report: Callable[[], dict[str, str]] | None,
        log: Callable[[str], None],
    ) -> None:
        super().__init__(size[0] * scale, size[1] * scale, colour.RGBS)
        self._mode, self._source, self._size, self._has_matte, self._log = mode, source, size, has_matte, log
        self._report = report
        self.reads_others, self.begin, self.end = mode.reads_others, mode.begin, mode.end

    @worded
    def prepare(self, n: int, props: Props) -> list[ResizeCall]:
        """To RGBS by the frame's own colour; refuses what must not be upscaled."""
        refuse_interlaced(n, props)
        if "_Alpha" in props and not self._has_matte:
            raise ClipError(
                f"frame {n} must carry no alpha where the first frame has none, got _Alpha; "
                "hand the whole clip's alpha over as alpha_clip, or drop it with std.RemoveFrameProps(clip, '_Alpha')"
            )
        return colour.to_rgb(props, self._source, *self._size)

    @worded
    def compute(self, n: int, frames: dict[int, Frame], target: list[Plane], made: object) -> Answer:
        """Upscale the picture, its transparent part filled with the colour around."""
        unreadable = {k: error for k, (_, _, _, error) in frames.items() if error}
        sources = {k: self._copy(frame) for k, frame in frames.items() if k not in unreadable}
        results = Target(planes=[array(p, self.width) for p in target], frame=made)
        answer = self._mode.compute(n, sources, results, unreadable)
        if isinstance(answer, list):
            return answer
        same, props = answer
        return same, {**self._report(), **props} if self._report else {}

    @staticmethod
    def _copy(frame: Frame) -> Source:
        """A copy of a frame as three planes."""
        width, source, props, _ = frame
        planes = [array(p, width) for p in source]
        matte = planes.pop() if len(planes) in (2, 4) else None
        rgb = np.stack(planes if len(planes) == 3 else planes * 3)
        if matte is not None:
            x, visible = torch.from_numpy(rgb)[None], torch.from_numpy(matte.copy())[None, None]
            rgb = pictures.bleed(x, visible)[0].numpy()
        return Source(picture=rgb, cut=bool(props["_SceneChangePrev"]) if "_SceneChangePrev" in props else None)

    def close(self) -> None:
        """Tell what was saved."""
        if words := self._mode.close():
            self._log(words)


class Matte(Stage):
    """An alpha clip (GRAYS) through the network as a gray picture, kept within what surrounds each pixel."""

    def __init__(self, engine: Engine, contents: Contents | None, width: int, height: int) -> None:
        super().__init__(width * engine.scale, height * engine.scale, colour.GRAYS)
        self._engine, self._contents = engine, contents

    @worded
    def compute(self, n: int, frames: dict[int, Frame], target: list[Plane], made: object) -> Answer:
        """Upscale the matte; one of a single value needs no network."""
        width, source, *_ = frames[n]
        matte, out = array(source[0], width).copy(), array(target[0], self.width)
        if matte.min() == matte.max():  # opaque, most of the time
            out[:] = matte[0, 0]
            return None, {}
        make = partial(self._upscale, n, matte, out)
        if self._contents is None:
            make()
            return None, {}
        return self._contents.once(content_hash(matte), Target(planes=[out], frame=made), make), {}

    def _upscale(self, n: int, matte: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        rgb = np.empty((3, *out.shape), np.float32)
        self._engine.upscale(np.stack([matte] * 3), list(rgb), n)
        x, enlarged = torch.from_numpy(matte)[None, None], torch.from_numpy(rgb.mean(axis=0))[None, None]
        out[:] = pictures.within_neighbours(enlarged, x, self._engine.scale)[0, 0].numpy()

    def close(self) -> None:
        """Drop what was kept."""
        if self._contents is not None:
            self._contents.clear()


class Area(Stage):
    """A downscale by area averaging, in linear light where ``downscale`` says so."""

    def __init__(self, downscale: colour.Downscale, source: VideoFormat, format: VideoFormat) -> None:
        super().__init__(downscale.width, downscale.height, format)
        self._linear, self._source = downscale.linear and format == colour.RGBS, source

    @worded
    def prepare(self, n: int, props: Props) -> list[ResizeCall]:
        """To linear light, where that is asked for."""
        return colour.to_linear(props, self._source) if self._linear else []

    @worded
    def compute(self, n: int, frames: dict[int, Frame], target: list[Plane], made: object) -> Answer:
        """Average."""
        width, source, *_ = frames[n]
        x = torch.from_numpy(np.stack([array(p, width) for p in source]))[None]
        for plane, values in zip(target, pictures.area(x, self.height, self.width)[0].numpy(), strict=True):
            array(plane, self.width)[:] = values
        return None, {}
