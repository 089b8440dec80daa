"""The source as it is to be seen: with its timestamps, upright, cropped, and progressive or refused."""

from __future__ import annotations

import itertools
import struct
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vscugan.encode.container.streams import Content, contents
from vscugan.encode.container.timeline import Span, Timeline, moment
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.source.damage import Damage
from vscugan.encode.source.main_video import SAMPLED_FRAMES, MainVideo, read_main_video
from vscugan.encode.source.source_file import check_readable, refusal
from vscugan.encode.source.source_index import IndexedClip, open_indexed
from vscugan.errors import ArgumentError, SourceError

#: props of metadata that changes from frame to frame, which no encoder here is given
DYNAMIC = {"DolbyVisionRPU": "Dolby Vision", "HDR10Plus": "HDR10+"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """An opened source: its clip, as it is to be seen, its timeline, and the stream that it came from."""

    path: Path
    clip: vs.VideoNode
    timeline: Timeline
    stream: int
    damage: Damage
    sha256: str  #: the file's
    contents: dict[int, Content]  #: of each stream, as far as it is taken
    span: Span | None = None  #: the part that is taken
    notes: tuple[str, ...]


def _timeline(path: Path, indexed: IndexedClip, last_ticks: int) -> Timeline:
    ticks = indexed.ticks
    if any(b <= a for a, b in itertools.pairwise(ticks)):
        raise SourceError(
            f"timestamps of the source must rise, got {path.name!r} where they do not; "
            "remux it first, for example with ffmpeg -c copy or mkvmerge"
        )
    if not last_ticks:
        last_ticks = ticks[-1] - ticks[-2] if len(ticks) > 1 else max(1, int(1 / (24 * indexed.base)))
    return Timeline(base=indexed.base, ticks=ticks, last_ticks=last_ticks)


def _crop(path: Path, clip: vs.VideoNode, cropping: bytes, rotation: int) -> vs.VideoNode:
    """The part of the frames that the container says is to be seen."""
    top, bottom, left, right = struct.unpack("<4I", cropping)
    if not any((top, bottom, left, right)):
        return clip
    if rotation:
        raise SourceError(
            f"cropping and rotation must not be in one container, got both in {path.name!r}; use --script for it"
        )
    try:
        return clip.std.Crop(left=left, right=right, top=top, bottom=bottom)
    except vs.Error as error:
        raise SourceError(
            f"cropping must fit the format, got {left}, {right}, {top}, {bottom} px (left, right, top, bottom): "
            f"{str(error).removeprefix('Crop: ')}; use --script to crop"
        ) from error


def _upright_shape(clip: vs.VideoNode, props: Mapping[str, Any], rotation: int) -> vs.VideoNode:
    """The shape of the pixels as they are seen: bestsource turns the frames, and leaves their aspect ratio."""
    if rotation % 180 != 90 or "_SARNum" not in props:
        return clip
    return clip.std.SetFrameProps(_SARNum=int(props["_SARDen"]), _SARDen=int(props["_SARNum"]))


def _refuse_interlaced(path: Path, clip: vs.VideoNode, timeline: Timeline, video: MainVideo) -> None:
    count = min(SAMPLED_FRAMES, clip.num_frames)
    found = {n * (clip.num_frames - 1) // max(1, count - 1) for n in range(count)}
    found |= {min(bisect_left(timeline.ticks, tick), clip.num_frames - 1) for tick in video.interlaced_ticks}
    for n in sorted(found):
        with clip.get_frame(n) as frame:
            if frame.props.get("_FieldBased", 0):
                raise SourceError(
                    f"source must be progressive, got interlaced frame {n} of {path.name!r}; deinterlace or match "
                    "fields in a --script, as examples/dvd_480i.vpy does"
                )


def _dropped_notes(props: Mapping[str, Any]) -> list[str]:
    """For people: what frames carry that no encoder here is given."""
    notes = [
        f"{name} metadata changes from frame to frame and is left out"
        for prefix, name in DYNAMIC.items()
        if any(prop.startswith(prefix) for prop in props)
    ]
    if "_Alpha" in props:
        notes.append("transparency is left out, since no encoder here holds it")
    return notes


def open_source(path: Path, progress: Callable[[int], None], is_scripted: bool) -> Source:
    """Open and index a file; ``progress`` is called with per cent.

    A script does its own field matching, so interlaced frames are refused only without one.
    Raises: SourceError, and DiskError where the cache can't hold the index.
    """
    check_readable(path)
    if not hasattr(vs.core, "bs"):
        raise SourceError(
            "bestsource must be installed to open a video, got no core.bs; run pip install vapoursynth-bestsource"
        )
    video = read_main_video(path, not is_scripted)
    indexed, damage = open_indexed(path, video, progress)
    clip = indexed.clip
    if not clip.width or clip.format.color_family == vs.UNDEFINED:
        raise SourceError(
            f"source must have one size and format, got a variable one in {path.name!r}; use --script to make it one"
        )
    timeline = _timeline(path, indexed, video.last_ticks)
    try:
        with clip.get_frame(0) as frame:
            props = dict(frame.props)
        if video.cropping:
            clip = _crop(path, clip, video.cropping, video.rotation)
        clip = _upright_shape(clip, props, video.rotation)
        if not is_scripted:
            _refuse_interlaced(path, clip, timeline, video)
    except vs.Error as error:
        raise refusal(path, str(error)) from error
    if "_Alpha" in props:
        clip = clip.std.RemoveFrameProps("_Alpha")
    return Source(
        path=path, clip=clip, timeline=timeline, stream=video.stream, sha256=video.sha256, contents=video.contents,
        damage=damage, notes=(*damage.notes(), *_dropped_notes(props)),
    )  # fmt: skip


def taken(source: Source, job: EncodeJob) -> Source:
    """The part of a source that a job is of: its frames from ``start`` to ``end``, without the borders.

    Raises: ArgumentError.
    """
    return _without_borders(_cut(source, job.start, job.end), job.crop)


def _cut(source: Source, start: str, end: str) -> Source:
    """The frames that are shown from ``start`` on and before ``end``, the first of them at 0."""
    if not start and not end:
        return source
    line, frames = source.timeline, source.clip.num_frames
    first, stop = _frame_at("start", start, line, 0), _frame_at("end", end, line, frames)
    if not first < stop <= frames:
        seconds = float((line.ticks[-1] + line.last_ticks - line.ticks[0]) * line.base)
        raise ArgumentError(
            f"start and end must leave frames, got {start or 0} to {end or 'the end'} of {seconds:.2f} s, {frames} "
            "frames; name times such as 1:30.5, or frames such as 2160f"
        )
    ticks = (*line.ticks, line.ticks[-1] + line.last_ticks)
    span = Span(start=ticks[first] * line.base, stop=ticks[stop] * line.base)
    cut = Timeline(
        base=line.base, ticks=tuple(tick - ticks[first] for tick in ticks[first:stop]),
        last_ticks=ticks[stop] - ticks[stop - 1],
    )  # fmt: skip
    return replace(
        source, clip=source.clip[first:stop], timeline=cut, span=span, contents=contents(source.path, span)
    )


def _frame_at(name: str, text: str, line: Timeline, default: int) -> int:
    """The first frame that is shown at a time from the first one's on, or the frame of a number."""
    found = moment(name, text)
    if found is None or isinstance(found, int):
        return default if found is None else found
    return bisect_left(line.ticks, line.ticks[0] + found / line.base)


def _without_borders(source: Source, borders: Sequence[int]) -> Source:
    """The source without its borders: left, right, top and bottom, in px."""
    if not any(borders):
        return source
    left, right, top, bottom = borders
    try:
        return replace(source, clip=source.clip.std.Crop(left, right, top, bottom))
    except vs.Error as error:
        raise ArgumentError(
            f"crop must leave a picture in whole px of all planes, got {','.join(map(str, borders))} of "
            f"{source.clip.width}x{source.clip.height}: {str(error).removeprefix('Crop: ')}; name left,right,top,bottom"
        ) from error
