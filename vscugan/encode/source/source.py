"""The source file: checked, indexed, with its timestamps, and made upright and progressive or refused."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import re
import stat
import struct
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import vapoursynth as vs

from vscugan.cache import made_folder, unwritable
from vscugan.encode.container.streams import Content, Demuxer, read_through
from vscugan.encode.container.timeline import Timeline
from vscugan.encode.source.damage import Damage, find_damage, known_damage, libav_errors, remember_damage
from vscugan.errors import SourceError
from vscugan.files import HashedReader

#: bestsource: read and write the index always, below the cache path
CACHE_ALWAYS = 2
#: how its error begins where it can't
INDEX_UNWRITTEN = "Failed to write index"
#: looked at for interlacing before the start, beside key frames; each frame is on its way through Upscale
SAMPLED_FRAMES = 5
#: props that tell of metadata that changes from frame to frame, which no encoder here is given
DYNAMIC = {"DolbyVisionRPU": "Dolby Vision", "HDR10Plus": "HDR10+"}
#: VapourSynth's own messages come out here too
LOGGER = logging.getLogger("vapoursynth")
_PERCENT = re.compile(r"index progress (\d+)%")


@dataclass(frozen=True, kw_only=True)
class Source:
    """An opened source: its clip, as it is to be seen, its timeline, and the stream that it came from."""

    path: Path
    clip: vs.VideoNode
    timeline: Timeline
    stream: int
    damage: Damage
    sha256: str  #: the file's
    contents: dict[int, Content]  #: of each stream
    notes: tuple[str, ...]


def check_readable(path: Path) -> None:
    """Raise SourceError where the path is no file that can be read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"source must be a file, got {path.name!r}, which is not one; name a video file")
        with open(path, "rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        raise SourceError(
            f"source must be a readable file, got {path.name!r}: {error.strerror}; check the name and its rights"
        ) from error
    if is_empty:
        raise SourceError(f"source must be a video, got {path.name!r}, which is empty; name a whole file")


def refusal(path: Path, reason: str) -> SourceError:
    """The error for a file that is no video that can be read."""
    return SourceError(
        f"source must be a video that can be decoded, got {path.name!r}: {reason}; check that the file is whole"
    )


@dataclass(frozen=True, kw_only=True)
class MainVideo:
    """What the container tells of the first video stream that is not a cover, and what its key frames tell."""

    stream: int
    cropping: bytes | None  #: as the container has it
    rotation: int  #: degrees
    packets: int
    is_corrupt: bool  #: whether one is marked as damaged
    last_ticks: int  #: how long the last frame stays
    interlaced_ticks: tuple[int, ...]  #: when the first interlaced key frames are shown
    contents: dict[int, Content]
    sha256: str


def _main_video(path: Path, look_for_interlacing: bool) -> MainVideo:
    try:
        with read_through(path) as (container, reader):
            for stream in container.streams.video:
                if not stream.disposition & av.stream.Disposition.attached_pic:
                    return _looked_through(container, stream, look_for_interlacing, reader)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise refusal(path, getattr(error, "strerror", None) or str(error)) from error
    raise SourceError(f"source must hold a video, got {path.name!r} with none; name a file that does")


def _looked_through(container: Any, stream: Any, look_for_interlacing: bool, reader: HashedReader) -> MainVideo:
    """Read all packets; decode a key frame of each second where asked to: hybrids change in between."""
    decoder = stream.codec_context
    if decoder is None:
        raise ValueError("a codec that is not known")
    last = (0, 0)
    looked: int | None = None
    interlaced: list[int] = []
    most = SAMPLED_FRAMES if look_for_interlacing else 0
    demuxer = Demuxer(container)
    packets, is_corrupt = 0, False
    for packet in demuxer.packets():
        if packet.stream_index != stream.index:
            continue
        packets, is_corrupt = packets + bool(packet.size), is_corrupt or packet.is_corrupt
        if packet.pts is None:
            continue
        last = max(last, (packet.pts, packet.duration or 0))
        second = packet.pts * packet.time_base // 1
        if packet.is_keyframe and second != looked and len(interlaced) < most:
            looked = second
            with contextlib.suppress(av.FFmpegError):  # damage is for bestsource to judge
                if any(frame.interlaced_frame for frame in (*decoder.decode(packet), *decoder.decode(None))):
                    interlaced.append(packet.pts)
            decoder.flush_buffers()
    told = decoder.coded_side_data
    return MainVideo(
        stream=stream.index, cropping=told.get("frame_cropping"), rotation=_rotation(told.get("display_matrix")),
        packets=packets, is_corrupt=is_corrupt, last_ticks=last[1], interlaced_ticks=tuple(interlaced),
        contents=demuxer.contents(), sha256=reader.sha256(),
    )  # fmt: skip


def _is_news(record: logging.LogRecord) -> bool:
    """Not that bestsource's signature leaves out the timestamps that it returns."""
    return "no return value(s) named" not in record.getMessage()


def _opened(
    path: Path, video: MainVideo, progress: Callable[[int], None]
) -> tuple[vs.VideoNode, Fraction, Sequence[int], Damage]:
    """Clip, time base, timestamps, and what is damaged; that is looked for where libav says so, or the index is old."""
    found = known_damage(path, video.stream)
    told: list[int] = []

    def listen(percent: int) -> None:
        told.append(percent)
        progress(percent)

    with libav_errors() as errors:
        opened = _open(path, video.stream, listen, found or Damage())
    if found is not None:
        return *opened, found
    found, frames = Damage(), len(opened[2])
    if errors or video.is_corrupt or not told or video.packets > frames:
        said = errors[0] if errors else "the container marks packets as damaged" if video.is_corrupt else ""
        found = find_damage(path, video.stream, opened[2], said)
    if found.is_seen:
        opened = _open(path, video.stream, progress, found)
        if len(opened[2]) != frames:  # one thread may get through more
            found = find_damage(path, video.stream, opened[2], found.said)
    remember_damage(path, video.stream, found)
    return *opened, found


def _open(
    path: Path, stream: int, progress: Callable[[int], None], damage: Damage
) -> tuple[vs.VideoNode, Fraction, Sequence[int]]:
    def listen(level: int, message: str) -> None:
        if found := _PERCENT.search(message):
            progress(int(found[1]))

    # what several threads make up of damaged frames is another thing each time, which bestsource does not stand
    folder, threads = (made_folder("index-damaged"), 1) if damage.is_seen else (made_folder("index"), 0)
    handle = vs.core.add_log_handler(listen)
    LOGGER.addFilter(_is_news)
    try:
        opened = vs.core.bs.VideoSource(
            str(path), track=stream, threads=threads, cachemode=CACHE_ALWAYS, cachepath=str(folder), showprogress=1,
            exporttimestamps=1,
        )  # fmt: skip
    except vs.Error as error:
        if INDEX_UNWRITTEN in str(error):
            raise unwritable("bestsource could not write its index") from error
        raise refusal(path, str(error).removeprefix("VideoSource: ")) from error
    finally:
        vs.core.remove_log_handler(handle)
        LOGGER.removeFilter(_is_news)
    base = Fraction(int(opened["timebasenum"]), int(opened["timebaseden"]))
    stamps = opened["timestamps"]
    return opened["clip"], base, [stamps] if isinstance(stamps, int) else stamps  # one value comes as itself


def _timeline(path: Path, base: Fraction, stamps: Sequence[int], last_ticks: int) -> Timeline:
    ticks = tuple(map(int, stamps))
    if any(b <= a for a, b in itertools.pairwise(ticks)):
        raise SourceError(
            f"timestamps of the source must rise, got {path.name!r} where they do not; "
            "remux it first, for example with ffmpeg -c copy or mkvmerge"
        )
    if not last_ticks:
        last_ticks = ticks[-1] - ticks[-2] if len(ticks) > 1 else max(1, int(1 / (24 * base)))
    return Timeline(base=base, ticks=ticks, last_ticks=last_ticks)


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


def _rotation(display_matrix: bytes | None) -> int:
    """By how many degrees frames are turned to be shown, 0 to 359, counterclockwise; whole turns of 90 as a rule."""
    if not display_matrix:
        return 0
    a, b = struct.unpack("<2i", display_matrix[:8])
    return round(math.degrees(math.atan2(-b, a))) % 360


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


def open_source(path: Path, progress: Callable[[int], None], is_scripted: bool) -> Source:
    """Open and index a file; ``progress`` is told per cent.

    A script does its own field matching, so interlaced frames are refused only without one.
    Raises: SourceError, and DiskError where the cache can't hold the index.
    """
    check_readable(path)
    if not hasattr(vs.core, "bs"):
        raise SourceError(
            "bestsource must be installed to open a video, got no core.bs; run pip install vapoursynth-bestsource"
        )
    video = _main_video(path, not is_scripted)
    clip, base, stamps, damage = _opened(path, video, progress)
    if not clip.width or clip.format.color_family == vs.UNDEFINED:
        raise SourceError(
            f"source must have one size and format, got a variable one in {path.name!r}; use --script to make it one"
        )
    timeline = _timeline(path, base, stamps, video.last_ticks)
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
    notes = damage.notes()
    notes += [f"{name} metadata changes from frame to frame and is left out" for prop, name in DYNAMIC.items()
             if any(key.startswith(prop) for key in props)]  # fmt: skip
    if "_Alpha" in props:
        clip = clip.std.RemoveFrameProps("_Alpha")
        notes.append("transparency is left out, since no encoder here holds it")
    return Source(
        path=path, clip=clip, timeline=timeline, stream=video.stream, sha256=video.sha256, contents=video.contents,
        damage=damage, notes=tuple(notes),
    )  # fmt: skip


def identity(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced or written to: inode, bytes and time; None where it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
