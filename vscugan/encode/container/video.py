"""The finished chunks as one video stream, each frame with its own timestamp."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av

from vscugan.encode.container.timeline import Timeline

#: for the pipe into the muxing ffmpeg: MP4 in pieces, with its exact time base
MP4_PIPE = {"movflags": "empty_moov+default_base_moof+frag_keyframe"}
#: libav's numbers for what a stream does not specify of its colour
UNSPECIFIED = {"color_range": 0, "colorspace": 2, "color_primaries": 2, "color_trc": 2}
#: a codec whose streams have no range, and whose encoder in ffmpeg calls every range limited
RANGELESS = "ffv1"


@dataclass(frozen=True, kw_only=True)
class CodedChunk:
    """A chunk's file and the order of its frames: for each one in display order, its packet."""

    path: Path
    start: int
    order: tuple[int, ...]


def delay(chunks: Sequence[CodedChunk]) -> int:
    """How many frames a packet may be decoded before it is shown."""
    return max((packet - rank for chunk in chunks for rank, packet in enumerate(chunk.order)), default=0)


def decode_tick(index: int, late: int, timeline: Timeline) -> int:
    """When packet ``index`` is decoded: ``late`` frames before its turn, so that nothing is shown undecoded."""
    if index >= late:
        return timeline.ticks[index - late]
    step = timeline.ticks[1] - timeline.ticks[0] if len(timeline.ticks) > 1 else timeline.last_ticks
    return timeline.ticks[0] - (late - index) * step


def pipe_offset(muxer: str, chunks: Sequence[CodedChunk], timeline: Timeline) -> int:
    """The tick that is 0 in the pipe: MP4 in pieces begins with its first decoding, Matroska has none."""
    return decode_tick(0, delay(chunks), timeline) if muxer == "mp4" else 0


def _packets(muxer: str, chunks: Sequence[CodedChunk], timeline: Timeline) -> Iterator[Any]:
    late = delay(chunks)
    zero = pipe_offset(muxer, chunks, timeline)
    ticks = timeline.ticks
    for chunk in chunks:
        display_rank = {packet: rank for rank, packet in enumerate(chunk.order)}
        with av.open(str(chunk.path)) as container:
            count = 0
            for packet in container.demux(container.streams.video[0]):
                if not packet.size:
                    continue
                n = chunk.start + display_rank[count]
                packet.time_base = timeline.base
                packet.pts = ticks[n] - zero
                packet.dts = decode_tick(chunk.start + count, late, timeline) - zero
                packet.duration = ticks[n + 1] - ticks[n] if n + 1 < len(ticks) else timeline.last_ticks
                count += 1
                yield packet


def _set_colour(context: Any, colour: Mapping[str, int]) -> None:
    """Let the container specify what the stream does not."""
    for name, value in colour.items():
        is_wrong = name == "color_range" and context.name == RANGELESS
        if is_wrong or getattr(context, name) == UNSPECIFIED[name]:
            setattr(context, name, value)


def write_video(
    target: IO[bytes], muxer: str, chunks: Sequence[CodedChunk], timeline: Timeline, colour: Mapping[str, int]
) -> str:
    """Write the video stream alone into a pipe, ``pipe_offset`` early; returns the sha256 of its packets."""
    digest = hashlib.sha256()
    options = {}
    if muxer == "mp4":
        options = {**MP4_PIPE, "video_track_timescale": str(timescale(timeline.base))}
    with av.open(str(chunks[0].path)) as first, av.open(target, "w", format=muxer, options=options) as out:
        stream = out.add_stream_from_template(first.streams.video[0], opaque=True)
        stream.time_base = timeline.base
        _set_colour(stream.codec_context, colour)
        for packet in _packets(muxer, chunks, timeline):
            digest.update(bytes(packet))
            packet.stream = stream
            out.mux_one(packet)
    return digest.hexdigest()


def timescale(base: Fraction) -> int:
    """Ticks a second of an MP4's video track for a time base."""
    return base.denominator
