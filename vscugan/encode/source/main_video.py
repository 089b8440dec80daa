"""The source read through once by its packets: which stream is the video, and what the container says of it."""

from __future__ import annotations

import contextlib
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from vscugan.encode.container.streams import Content, Demuxer, read_through
from vscugan.encode.source.source_file import refusal
from vscugan.errors import SourceError
from vscugan.files import HashedReader

#: looked at for interlacing before the start, beside key frames; each frame is on its way through Upscale
SAMPLED_FRAMES = 5


@dataclass(frozen=True, kw_only=True)
class MainVideo:
    """What the container says of the first video stream that is not a cover, and what its key frames say."""

    stream: int
    cropping: bytes | None  #: as the container has it
    rotation: int  #: degrees
    packets: int
    is_corrupt: bool  #: whether one is marked as damaged
    last_ticks: int  #: how long the last frame stays
    interlaced_ticks: tuple[int, ...]  #: when the first interlaced key frames are shown
    contents: dict[int, Content]
    sha256: str


def read_main_video(path: Path, look_for_interlacing: bool) -> MainVideo:
    """Find the video stream, and read the whole file once.

    Raises: SourceError.
    """
    try:
        with read_through(path) as (container, reader):
            for stream in container.streams.video:
                if not stream.disposition & av.stream.Disposition.attached_pic:
                    return _read_packets(container, stream, look_for_interlacing, reader)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise refusal(path, getattr(error, "strerror", None) or str(error)) from error
    raise SourceError(f"source must hold a video, got {path.name!r} with none; name a file that does")


def _read_packets(container: Any, stream: Any, look_for_interlacing: bool, reader: HashedReader) -> MainVideo:
    """Read all packets; decode a key frame of each second to look for interlacing: hybrids change in between."""
    decoder = stream.codec_context
    if decoder is None:
        raise ValueError("a codec that is not known")
    last = (0, 0)
    sampled_s: int | None = None
    interlaced: list[int] = []
    max_interlaced = SAMPLED_FRAMES if look_for_interlacing else 0
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
        if packet.is_keyframe and second != sampled_s and len(interlaced) < max_interlaced:
            sampled_s = second
            with contextlib.suppress(av.FFmpegError):  # damage is for bestsource to judge
                if any(frame.interlaced_frame for frame in (*decoder.decode(packet), *decoder.decode(None))):
                    interlaced.append(packet.pts)
            decoder.flush_buffers()
    side_data = decoder.coded_side_data
    return MainVideo(
        stream=stream.index, cropping=side_data.get("frame_cropping"),
        rotation=_rotation(side_data.get("display_matrix")), packets=packets, is_corrupt=is_corrupt,
        last_ticks=last[1], interlaced_ticks=tuple(interlaced),
        contents=demuxer.contents(), sha256=reader.sha256(),
    )  # fmt: skip


def _rotation(display_matrix: bytes | None) -> int:
    """By how many degrees frames are turned to be shown, 0 to 359, counterclockwise; whole turns of 90 as a rule."""
    if not display_matrix:
        return 0
    a, b = struct.unpack("<2i", display_matrix[:8])
    return round(math.degrees(math.atan2(-b, a))) % 360
