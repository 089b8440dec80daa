"""The pixel stages of an Upscale: what the bridge calls with the planes of a frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vscugan.clip import colour
from vscugan.clip.colour import Props, ResizeCall
from vscugan.clip.error_text import translate_errors
from vscugan.clip.video_format import GRAYS, RGBS, Conversion, Downscale, VideoFormat
from vscugan.engine.engine import Engine
from vscugan.errors import ClipError
from vscugan.install import require_torch
from vscugan.reuse.deduplication_cache import DeduplicationCache, content_hash
from vscugan.reuse.mode import Mode, SourceFrame, Target

#: Planes as the bridge hands them over, (height, width) fp32 each; the memory is VapourSynth's and must not be kept.
Planes = list[memoryview]
#: A frame of the input: its planes, those of the alpha clip last, and its props.
Frame = tuple[Planes, Props]
#: What ``compute`` returns: the frames of the input that must be read first; or else the earlier ``target_frame`` whose
#: planes are the result, None where the target was written, and the props to set on the stage's frame.
Answer = list[int] | tuple[object, dict[str, int | float | str]]


def refuse_interlaced(n: int, props: Props) -> None:
    """Raise ClipError for a frame of two fields, or one whose _FieldBased does not exist."""
    field = props.get("_FieldBased", 0)
    if field:
        raise ClipError(
            f"frame {n} must be progressive, got _FieldBased={field}; deinterlace or match fields first "
            "(bwdif, vivtc), or std.SetFieldBased(clip, 0) where the flag is wrong"
        )


class PixelStage(ABC):
    """A step whose pixels we compute. Safe to call from several threads.

    ``width``, ``height``, ``format_id``: of its output. ``reads_others``: whether a frame may need others of the input
    than its own; then ``begin(n)`` and ``end(n)`` are called before and after.
    """

    reads_others = False

    def __init__(self, width: int, height: int, format: VideoFormat) -> None:
        self.width, self.height, self.format_id = width, height, format.id

    def prepare(self, n: int, props: Props) -> list[ResizeCall]:
        """The resizer's calls between the frame before this stage and the stage.

        Raises: RuntimeError for a frame that must not be upscaled; its text is for the script's author.
        """
        return []

    @abstractmethod
    def compute(
        self, n: int, frames: Mapping[int, Frame], unreadable: Mapping[int, str], target: Planes, target_frame: object
    ) -> Answer:
        """Make frame ``n``, or say which frames must be read first.

        ``frames``: of the input, at first frame ``n``, then those that the call before has asked for; ``unreadable``:
        why those of them can't be read that are missing there. ``target_frame``: the frame that ``target`` belongs to.
        Raises: RuntimeError where the frame can't be made; its text is for the script's author.
        """

    def close(self) -> None:  # noqa: B027  nothing to free, for most
        """The node is gone."""


class ColourUpscale(PixelStage):
    """RGBS, or GRAYS that stands for three planes, through the network; alpha may follow as the last plane."""

    def __init__(
        self,
        engine: Engine,
        mode: Mode,
        conversion: Conversion,
        *,
        has_alpha: bool,
        report: bool,
        notify: Callable[[str], None],
    ) -> None:
        width, height = conversion.source_size
        super().__init__(width * engine.scale, height * engine.scale, RGBS)
        self._mode, self._source, self._size = mode, conversion.source, conversion.source_size
        self._has_alpha, self._notify = has_alpha, notify
        if has_alpha:
            require_torch("alpha")
        self._report = engine.report if report else None
        self.reads_others, self.begin, self.end = mode.reads_others, mode.begin, mode.end

    @translate_errors
    def prepare(self, n: int, props: Props) -> list[ResizeCall]:
        """To RGBS by the frame's own colour; refuses what must not be upscaled."""
        refuse_interlaced(n, props)
        if "_Alpha" in props and not self._has_alpha:
            raise ClipError(
                f"frame {n} must carry no alpha where the first frame has none, got _Alpha; "
                "hand the whole clip's alpha over as alpha_clip, or drop it with std.RemoveFrameProps(clip, '_Alpha')"
            )
        return colour.to_rgb(props, self._source, *self._size)

    @translate_errors
    def compute(
        self, n: int, frames: Mapping[int, Frame], unreadable: Mapping[int, str], target: Planes, target_frame: object
    ) -> Answer:
        """Upscale the picture, its transparent part filled with the colour around."""
        sources = {k: self._copied(planes, props) for k, (planes, props) in frames.items()}
        answer = self._mode.compute(n, sources, Target(planes=_arrays(target), frame=target_frame), unreadable)
        if isinstance(answer, list):
            return answer
        same, reused = answer
        return same, {**self._report(), **reused} if self._report else {}

    def _copied(self, planes: Planes, props: Props) -> SourceFrame:
        """A copy of a frame as three planes."""
        arrays = _arrays(planes)
        alpha = arrays.pop() if self._has_alpha else None
        rgb = np.empty((3, *arrays[0].shape), np.float32)
        for channel, plane in zip(rgb, arrays * (3 // len(arrays)), strict=True):
            channel[:] = plane
        if alpha is not None:
            from vscugan.clip.transparency import bleed

            x, visible = (require_torch("alpha").from_numpy(each) for each in (rgb[None], alpha[None, None].copy()))
            rgb = bleed(x, visible)[0].numpy()
        cut = props.get("_SceneChangePrev")
        return SourceFrame(rgb=rgb, cut=None if cut is None else bool(cut))

    def close(self) -> None:
        """Report what was saved."""
        if summary := self._mode.close():
            self._notify(summary)


class AlphaUpscale(PixelStage):
    """An alpha clip (GRAYS) through the network as a gray picture, kept within what surrounds each pixel."""

    def __init__(self, engine: Engine, deduplication: DeduplicationCache | None, width: int, height: int) -> None:
        super().__init__(width * engine.scale, height * engine.scale, GRAYS)
        self._engine, self._deduplication = engine, deduplication

    @translate_errors
    def compute(
        self, n: int, frames: Mapping[int, Frame], unreadable: Mapping[int, str], target: Planes, target_frame: object
    ) -> Answer:
        """Upscale the alpha; one of a single value needs no network."""
        (plane,), (out,) = frames[n][0], _arrays(target)
        alpha = np.array(plane)
        if alpha.min() == alpha.max():  # opaque, most of the time
            out[:] = alpha[0, 0]
            return None, {}
        make = partial(self._upscale, n, alpha, out)
        if self._deduplication is None:
            make()
            return None, {}
        return self._deduplication.once(content_hash(alpha), Target(planes=[out], frame=target_frame), make), {}

    def _upscale(self, n: int, alpha: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        rgb = np.empty((3, *out.shape), np.float32)
        self._engine.upscale(np.stack([alpha] * 3), list(rgb), n)
        from vscugan.clip.transparency import within_neighbours

        x, enlarged = (require_torch("alpha").from_numpy(each[None, None]) for each in (alpha, rgb.mean(axis=0)))
        out[:] = within_neighbours(enlarged, x, self._engine.scale)[0, 0].numpy()

    def close(self) -> None:
        """Drop what was kept."""
        if self._deduplication is not None:
            self._deduplication.clear()


class AreaDownscale(PixelStage):
    """A downscale by area averaging, in linear light where ``downscale`` says so."""

    def __init__(self, downscale: Downscale, source: VideoFormat, format: VideoFormat) -> None:
        super().__init__(downscale.width, downscale.height, format)
        self._linear, self._source = downscale.linear and format == RGBS, source
        require_torch("an area downscale")

    @translate_errors
    def prepare(self, n: int, props: Props) -> list[ResizeCall]:
        """To linear light, where that is asked for."""
        return colour.to_linear(props, self._source) if self._linear else []

    @translate_errors
    def compute(
        self, n: int, frames: Mapping[int, Frame], unreadable: Mapping[int, str], target: Planes, target_frame: object
    ) -> Answer:
        """Average."""
        from vscugan.clip.area_average import area_average

        planes, _ = frames[n]
        x = require_torch("an area downscale").from_numpy(np.stack(_arrays(planes))[None])
        for out, values in zip(_arrays(target), area_average(x, self.height, self.width)[0].numpy(), strict=True):
            out[:] = values
        return None, {}


def _arrays(planes: Planes) -> list[NDArray[np.float32]]:
    """Views of the planes, which must not be kept."""
    return [np.asarray(plane) for plane in planes]
