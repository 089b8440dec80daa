"""What the bridge calls: the graph of one Upscale in a script, as stages and calls of the resizer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from vscugan.clip import colour
from vscugan.clip.colour import Conversion, Downscale, Props, ResizeCall, VideoFormat
from vscugan.clip.size import output_size, sample_aspect_ratio, sar_props
from vscugan.clip.stages import Area, Matte, Network, Stage, refuse_interlaced
from vscugan.clip.wording import PREFIX, worded
from vscugan.engine import Engine
from vscugan.errors import ClipError
from vscugan.reuse.choose import choose_contents, choose_mode
from vscugan.reuse.contents import Contents
from vscugan.reuse.mode import Mode
from vscugan.route import direct, find_route
from vscugan.settings import validate

#: A clip as the bridge describes it: width, height, colour family, sample type, bits, subsampling_w,
#: subsampling_h, number of frames. Family 0 is a variable format, width 0 a variable size.
Video = tuple[int, int, int, int, int, int, int, int]
#: The resizer's calls after the last stage, props to write, and whether the format is not the source's.
Finish = tuple[list[ResizeCall], dict[str, int], bool]
MATRIX_NAMES = {colour.MATRIX_170M: "170m", colour.MATRIX_709: "709"}


class Graph(ABC):
    """What the bridge builds: the stages one after the other, then an output node of this size and format."""

    reads_others = False

    def __init__(self, size: tuple[int, int], format: VideoFormat, stages: Sequence[Stage]) -> None:
        self.width, self.height = size
        self.format_id = format.id
        self.stages = tuple(stages)

    @abstractmethod
    def finish(self, n: int, props: Props) -> Finish:
        """How output frame ``n`` is made of the last stage's, by the props of the source frame.

        What the stages report (``Cugan...``) is written beside these props.
        """

    def close(self) -> None:  # noqa: B027  nothing to free, for most
        """The output node is gone."""


class MatteGraph(Graph):
    """The graph of the alpha clip, from GRAYS to gray of the output's depth."""

    def __init__(self, engine: Engine, contents: Contents | None, conversion: Conversion) -> None:
        stages: list[Stage] = [Matte(engine, contents, *conversion.source_size)]
        if conversion.downscale and conversion.downscale.kernel == "area":
            stages.append(Area(conversion.downscale, colour.GRAYS, colour.GRAYS))
        super().__init__(conversion.size, colour.matte_format(conversion.target), stages)
        self._conversion = conversion

    @worded
    def finish(self, n: int, props: Props) -> Finish:
        """To gray of the output's depth."""
        return colour.matte_of_gray(self._conversion), {}, False


class ColourGraph(Graph):
    """The graph of the clip itself; ``matte`` is that of its alpha, where it has one."""

    def __init__(
        self,
        engine: Engine,
        mode: Mode,
        conversion: Conversion,
        matte: MatteGraph | None,
        report: bool,
        log: Callable[[str], None],
    ) -> None:
        source, size, has_matte = conversion.source, conversion.source_size, matte is not None
        stages: list[Stage] = [
            Network(
                mode, source, size, engine.scale,
                has_matte=has_matte, report=engine.report if report else None, log=log,
            )
        ]  # fmt: skip
        if conversion.downscale and conversion.downscale.kernel == "area":
            stages.append(Area(conversion.downscale, conversion.source, colour.RGBS))
        super().__init__(conversion.size, conversion.target, stages)
        self.matte = matte
        self.matte_calls = colour.gray_of_matte()
        self._conversion = conversion
        self._log = log
        self._logged: set[str] = set()

    @worded
    def finish(self, n: int, props: Props) -> Finish:
        """To the output's format, with the matrix and SAR that the new size needs."""
        source, target, source_size = self._conversion.source, self._conversion.target, self._conversion.source_size
        corrected = self._corrections(props)
        props = {**props, **corrected}
        write = sar_props(props, source_size, self._conversion.size, target)
        if source.color_family == target.color_family == colour.YUV:
            matrix, was_decided = colour.decided_matrix(props, *source_size)
            if was_decided:
                write["_Matrix"] = matrix
                name = MATRIX_NAMES[matrix]
                self._log_once(
                    "_Matrix", f"_Matrix is unspecified: taken as {name} by the size, and written into the output"
                )
        # of another format the resizer has written its own props
        write |= {k: v for k, v in corrected.items() if source == target or k not in colour.FORMAT_PROPS}
        return colour.from_rgb(props, self._conversion), write, source != target

    def _corrections(self, props: Props) -> dict[str, int]:
        source = self._conversion.source
        corrected = colour.corrections(props, source)
        for name, value in corrected.items():
            self._log_once(name, f"{name}={props[name]} means nothing for {source.name}: taken as {value}")
        return corrected

    def _log_once(self, name: str, text: str) -> None:
        if name not in self._logged:
            self._logged.add(name)
            self._log(text)


def _described(video: Video) -> VideoFormat:
    names = ("color_family", "sample_type", "bits", "subsampling_w", "subsampling_h")
    return VideoFormat(**dict(zip(names, video[2:7], strict=True)))


def _checked_source(video: Video, props: Props) -> VideoFormat:
    """The clip's format; raises ClipError for a clip that can't be upscaled."""
    source = _described(video)
    width, height = video[:2]
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
    return source


def _check_matte(matte: Video, video: Video) -> None:
    """Raise ClipError for an alpha clip that does not go with the clip."""
    format = _described(matte)
    name = format.name if format.color_family else "variable format"
    if format.color_family != colour.GRAY or not format.is_supported or matte[:2] != video[:2]:
        raise ClipError(
            f"alpha_clip must be gray of {video[0]}x{video[1]} px, got {name} of {matte[0]}x{matte[1]} px; "
            "use std.ShufflePlanes or resize to make it so"
        )
    if matte[7] != video[7]:
        raise ClipError(f"alpha_clip must have the clip's {video[7]} frames, got {matte[7]}; use std.Trim or std.Loop")


@worded
def create(
    arguments: dict[str, Any], video: Video, matte: Video | None, props: Props, log: Callable[[str], None]
) -> ColourGraph:
    """Check clip and arguments, then load the models of the route.

    ``matte``: the alpha clip, given or attached to the first frame; ``props``: of the first frame; ``log``
    writes one line to the core's log.
    """
    settings = validate(**arguments)
    source = _checked_source(video, props)
    if matte is not None:
        _check_matte(matte, video)
    if settings.linear:
        colour.coded_transfer({**props, **colour.corrections(props, source)}, source)
    target = colour.output_format(source, settings.format)
    width, height = video[:2]

    def tell(text: str) -> None:
        log(f"{PREFIX}{text}")

    passes = direct(settings)
    file_scale = passes[0].scale if passes and settings.weights is not None else None
    size = output_size(settings, (width, height), sample_aspect_ratio(props), target, file_scale)
    if passes is None:
        passes = find_route(settings, (width, height), size)
    engine = Engine(settings, passes, notify=tell)
    tell(f"runtime: {engine.summary}")
    network_size = (width * engine.scale, height * engine.scale)
    downscale = None
    if size != network_size:
        downscale = Downscale(width=size[0], height=size[1], kernel=settings.kernel, linear=settings.linear)
    if settings.sized or len(passes) > 1 or downscale:
        steps = [f"{p.scale}x {settings.weights or p.noise}" for p in passes] + ([settings.kernel] if downscale else [])
        tell(f"{width}x{height} -> {size[0]}x{size[1]} by {', then '.join(steps)}")
    conversion = Conversion(source=source, source_size=(width, height), target=target, size=size, downscale=downscale)
    matte_graph = None if matte is None else MatteGraph(engine, choose_contents(settings), conversion)
    return ColourGraph(engine, choose_mode(engine, settings), conversion, matte_graph, settings.report, tell)
