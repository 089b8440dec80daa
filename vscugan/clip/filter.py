"""What the bridge calls for one Upscale in a script: it checks clip and arguments, and makes the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vscugan.clip import colour
from vscugan.clip.clip_graph import AlphaGraph, ColourGraph
from vscugan.clip.colour import Props
from vscugan.clip.error_text import PREFIX, translate_errors
from vscugan.clip.pixel_stages import refuse_interlaced
from vscugan.clip.size import output_size, sample_aspect_ratio
from vscugan.clip.video_format import GRAY, YUV, Conversion, Downscale, VideoFormat, output_format
from vscugan.engine.engine import Engine
from vscugan.engine.route import Pass, direct, find_route
from vscugan.errors import ClipError
from vscugan.reuse.choose import choose_deduplication, choose_mode
from vscugan.settings import Settings, validate

#: A clip as the bridge describes it: width, height, colour family, sample type, bits, subsampling_w,
#: subsampling_h, number of frames. Family 0 is a variable format, width 0 a variable size.
Video = tuple[int, int, int, int, int, int, int, int]


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
    if source.color_family == YUV:
        colour.decided_matrix(props, width, height)
    return source


def _check_alpha(alpha: Video, video: Video) -> None:
    """Raise ClipError for an alpha clip that does not go with the clip."""
    format = _described(alpha)
    name = format.name if format.color_family else "variable format"
    if format.color_family != GRAY or not format.is_supported or alpha[:2] != video[:2]:
        raise ClipError(
            f"alpha_clip must be gray of {video[0]}x{video[1]} px, got {name} of {alpha[0]}x{alpha[1]} px; "
            "use std.ShufflePlanes or resize to make it so"
        )
    if alpha[7] != video[7]:
        raise ClipError(f"alpha_clip must have the clip's {video[7]} frames, got {alpha[7]}; use std.Trim or std.Loop")


def _way(settings: Settings, passes: Sequence[Pass], conversion: Conversion) -> str:
    """The passes and the downscale, for the log."""
    source, size, downscale = conversion.source_size, conversion.size, conversion.downscale
    steps = [f"{p.scale}x {settings.weights or p.text}" for p in passes]
    if downscale:
        steps.append(settings.kernel)
    return f"{source[0]}x{source[1]} -> {size[0]}x{size[1]} by {', then '.join(steps)}"


@translate_errors
def create(
    arguments: dict[str, Any], video: Video, alpha: Video | None, props: Props, log: Callable[[str], None]
) -> ColourGraph:
    """Check clip and arguments, then load the models of the route.

    ``alpha``: the alpha clip, given or attached to the first frame; ``props``: of the first frame; ``log``
    writes one line to the log of the core that the bridge calls for; it may be kept, and does nothing at other times.
    Raises: RuntimeError where the clip or an argument is refused, or a weight file or the device is missing; its text
    is for the script's author.
    """
    settings = validate(**arguments)
    source, source_size = _checked_source(video, props), video[:2]
    if alpha is not None:
        _check_alpha(alpha, video)
    if settings.linear:
        colour.coded_transfer({**props, **colour.corrections(props, source)}, source)
    target = output_format(source, settings.format)

    def notify(text: str) -> None:
        log(f"{PREFIX}{text}")

    passes = direct(settings, notify)
    file_scale = passes[0].scale if passes and settings.weights is not None else None
    size = output_size(settings, source_size, sample_aspect_ratio(props), target, file_scale)
    if passes is None:
        passes = find_route(settings, source_size, size, notify)
    engine = Engine(settings, passes, notify=notify)
    notify(f"runtime: {engine.summary}")
    downscale = None
    if size != (source_size[0] * engine.scale, source_size[1] * engine.scale):
        downscale = Downscale(width=size[0], height=size[1], kernel=settings.kernel, linear=settings.linear)
    conversion = Conversion(source=source, source_size=source_size, target=target, size=size, downscale=downscale)
    if settings.sized or len(passes) > 1 or downscale:
        notify(_way(settings, passes, conversion))
    alpha_graph = None if alpha is None else AlphaGraph(engine, choose_deduplication(settings), conversion)
    mode = choose_mode(engine, settings)
    return ColourGraph(engine, mode, conversion, alpha_graph, report=settings.report, notify=notify)
