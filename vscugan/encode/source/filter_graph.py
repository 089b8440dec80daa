"""The graph of an encode: Upscale on the source, or the user's own script."""

from __future__ import annotations

import runpy
from contextlib import chdir
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vscugan.clip.error_text import strip_prefix
from vscugan.clip.upscale import upscale
from vscugan.encode.container.timeline import Timeline
from vscugan.encode.encoders.encoder_rows import DEFAULT_BITS, ENCODERS
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.source.source import Source
from vscugan.errors import ArgumentError, ClipError

COMMON_RATES = (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(24), Fraction(25),
                Fraction(30), Fraction(50), Fraction(60))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FilterGraph:
    """What is encoded: the clip, and when its frames are shown."""

    clip: vs.VideoNode
    timeline: Timeline
    rate: Fraction
    notes: tuple[str, ...] = ()


def _format(name: str) -> int:
    try:
        return int(vs.PresetVideoFormat[name.upper()])
    except KeyError:
        raise ArgumentError(
            f"format must be a name such as YUV420P10 or yuv420p10le, got {name}; use one of VapourSynth's or ffmpeg's"
        ) from None


def _default_format(clip: vs.VideoNode, encoder: str) -> int | None:
    """The format of the result where nobody names one: an 8-bit clip gets 10 bits where the encoder has them."""
    row, format = ENCODERS.get(encoder), clip.format
    if row is None or DEFAULT_BITS not in row.bits or format.color_family == vs.RGB or format.bits_per_sample != 8:
        return None
    return int(format.replace(bits_per_sample=DEFAULT_BITS).id)


def _upscaled(source: Source, options: dict[str, Any], encoder: str) -> vs.VideoNode:
    given = dict(options)
    if "format" in given:
        given["format"] = _format(given["format"])
    elif (format := _default_format(source.clip, encoder)) is not None:
        given["format"] = format
    try:
        return upscale(source.clip, report=True, **given)
    except vs.Error as error:
        raise ArgumentError(strip_prefix(error)) from error


def _scripted(job: EncodeJob, source: Source) -> vs.VideoNode:
    """The first output of a script.

    It finds ``source``, the path, as vspipe -a gives it; ``args``, a dict of all options; each --arg by its name;
    and ``clip``, the source as it is opened here: indexed, upright and cropped.
    """
    assert job.script
    path = Path(job.script)
    names: dict[str, Any] = {"source": job.source, "clip": source.clip}
    names |= {"args": {**job.options, **job.script_arguments}, **job.script_arguments}
    vs.clear_outputs()
    try:
        with chdir(path.parent):  # as vspipe does
            runpy.run_path(str(path), init_globals=names, run_name="__vapoursynth__")
    except Exception as error:
        raise ArgumentError(
            f"script must run, got {type(error).__name__}: {error}; try it with vspipe --info {path.name!r}"
        ) from error
    outputs = vs.get_outputs()
    node = getattr(outputs[0], "clip", None) if 0 in outputs else None
    if not isinstance(node, vs.VideoNode):
        raise ArgumentError(f"script must set a video output 0, got none; end {path.name!r} with clip.set_output()")
    if not node.width or node.format.color_family == vs.UNDEFINED:
        raise ClipError("output of the script must have one size and format, got a variable one; resize it at its end")
    return node


def _rate(timeline: Timeline, declared: Fraction) -> Fraction:
    """The mean rate, as simple a fraction as the ticks allow; ``declared`` is the container's, 0 for none.

    The ticks of a short clip fit several common rates: then the declared one decides, else the nearest.
    """
    ticks = timeline.ticks
    steps, span = (len(ticks) - 1, ticks[-1] - ticks[0]) if len(ticks) > 1 else (1, timeline.last_ticks)
    errors = {rate: abs(span - steps / (rate * timeline.base)) for rate in COMMON_RATES}
    fitting = [rate for rate in COMMON_RATES if errors[rate] <= 1]  # the first and the last tick are rounded
    if declared in fitting:
        return declared
    if fitting:
        return min(fitting, key=lambda rate: errors[rate])
    return (steps / (timeline.base * span)).limit_denominator(1001)


def _own_timeline(clip: vs.VideoNode, source: Source) -> Timeline:
    """Constant frames from the source's first timestamp on, for a script that changes how many there are."""
    if not clip.fps:
        raise ClipError(
            f"output of the script must have the source's {source.clip.num_frames} frames or a constant rate, got "
            f"{clip.num_frames} frames of no rate; set one with std.AssumeFPS"
        )
    step = 1 / Fraction(clip.fps)
    base = Fraction(1, step.denominator * 1000 if step.denominator < 1000 else step.denominator)
    first = source.timeline.ticks[0] * source.timeline.base
    ticks = tuple(round((first + n * step) / base) for n in range(clip.num_frames))
    return Timeline(base=base, ticks=ticks, last_ticks=max(1, round(step / base)))


def build(job: EncodeJob, source: Source) -> FilterGraph:
    """The clip that is to be encoded.

    Raises: ArgumentError, ClipError.
    """
    clip = _scripted(job, source) if job.script else _upscaled(source, job.options, job.encoder)
    timeline, declared, notes = source.timeline, source.clip.fps, []
    if clip.num_frames != source.clip.num_frames:
        timeline, declared = _own_timeline(clip, source), clip.fps
        notes.append(
            f"the script makes {clip.num_frames} frames of {source.clip.num_frames}: shown at a constant {clip.fps} fps"
        )
    return FilterGraph(clip=clip, timeline=timeline, rate=_rate(timeline, declared), notes=tuple(notes))
