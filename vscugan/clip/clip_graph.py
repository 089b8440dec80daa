"""The graphs of an Upscale, of which the bridge builds VapourSynth's nodes: pixel stages, and calls of the resizer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from vscugan.clip import colour
from vscugan.clip.colour import Props, ResizeCall
from vscugan.clip.error_text import translate_errors
from vscugan.clip.pixel_stages import AlphaUpscale, AreaDownscale, ColourUpscale, PixelStage
from vscugan.clip.size import sar_props
from vscugan.clip.video_format import GRAYS, RGBS, YUV, Conversion, VideoFormat
from vscugan.engine.engine import Engine
from vscugan.reuse.deduplication_cache import DeduplicationCache
from vscugan.reuse.mode import Mode

#: The resizer's calls after the last stage, props to write, and whether the format is not the source's.
Finish = tuple[list[ResizeCall], dict[str, int], bool]
MATRIX_NAMES = {colour.MATRIX_170M: "170m", colour.MATRIX_709: "709"}


class ClipGraph(ABC):
    """What the bridge builds: the stages one after the other, then an output node of this size and format."""

    reads_others = False

    def __init__(self, conversion: Conversion, format: VideoFormat, stages: Sequence[PixelStage]) -> None:
        self.width, self.height = conversion.size
        self.format_id = format.id
        self.stages = tuple(stages)
        self._conversion = conversion

    @abstractmethod
    def finish(self, n: int, props: Props) -> Finish:
        """How output frame ``n`` is made of the last stage's, by the props of the source frame.

        Asked once for each output frame. What the stages report (``Cugan...``) is written too.
        Raises: RuntimeError for props that can't be converted; its text is for the script's author.
        """

    def close(self) -> None:  # noqa: B027  nothing to free, for most
        """The output node is gone."""


class AlphaGraph(ClipGraph):
    """The graph of the alpha clip, from GRAYS to gray of the output's depth."""

    def __init__(self, engine: Engine, deduplication: DeduplicationCache | None, conversion: Conversion) -> None:
        stages: list[PixelStage] = [AlphaUpscale(engine, deduplication, *conversion.source_size)]
        if conversion.downscale and conversion.downscale.kernel == "area":
            stages.append(AreaDownscale(conversion.downscale, GRAYS, GRAYS))
        super().__init__(conversion, colour.alpha_format(conversion.target), stages)

    @translate_errors
    def finish(self, n: int, props: Props) -> Finish:
        """To gray of the output's depth."""
        return colour.alpha_of_gray(self._conversion), {}, False


class ColourGraph(ClipGraph):
    """The graph of the clip itself; ``alpha`` is that of its alpha clip, where it has one."""

    def __init__(
        self,
        engine: Engine,
        mode: Mode,
        conversion: Conversion,
        alpha: AlphaGraph | None,
        *,
        report: bool,
        notify: Callable[[str], None],
    ) -> None:
        stages: list[PixelStage] = [
            ColourUpscale(engine, mode, conversion, has_alpha=alpha is not None, report=report, notify=notify)
        ]
        if conversion.downscale and conversion.downscale.kernel == "area":
            stages.append(AreaDownscale(conversion.downscale, conversion.source, RGBS))
        super().__init__(conversion, conversion.target, stages)
        self.alpha = alpha
        self.alpha_calls = colour.gray_of_alpha()
        self._notify = notify
        self._notified: set[str] = set()

    @translate_errors
    def finish(self, n: int, props: Props) -> Finish:
        """To the output's format, with the matrix and SAR that the new size needs."""
        source, target, source_size = self._conversion.source, self._conversion.target, self._conversion.source_size
        corrected = self._corrections(props)
        props = {**props, **corrected}
        write = sar_props(props, source_size, self._conversion.size, target)
        if source.color_family == target.color_family == YUV:
            matrix, was_decided = colour.decided_matrix(props, *source_size)
            if was_decided:
                write["_Matrix"] = matrix
                name = MATRIX_NAMES[matrix]
                self._notify_once(
                    "_Matrix", f"_Matrix is unspecified: taken as {name} by the size, and written into the output"
                )
        # of another format the resizer has written its own props
        write |= {k: v for k, v in corrected.items() if source == target or k not in colour.FORMAT_PROPS}
        return colour.from_rgb(props, self._conversion), write, source != target

    def _corrections(self, props: Props) -> dict[str, int]:
        source = self._conversion.source
        corrected = colour.corrections(props, source)
        for name, value in corrected.items():
            self._notify_once(name, f"{name}={props[name]} means nothing for {source.name}: taken as {value}")
        return corrected

    def _notify_once(self, name: str, text: str) -> None:
        if name not in self._notified:
            self._notified.add(name)
            self._notify(text)
