"""The finished file compared with what it must hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vscugan.encode.container.mux import MuxJob
from vscugan.encode.container.streams import (
    COVER,
    Content,
    Demuxer,
    Track,
    contents,
    copied_sha256,
    read_through,
    tracks,
)
from vscugan.encode.container.video import write_video
from vscugan.errors import ResultError

MILLISECOND = Fraction(1, 1000)  #: Matroska's tick
_KINDS = ("video", "audio", "subtitle", "attachment")


@dataclass(frozen=True, kw_only=True)
class FinishedFile:
    """What the finished file holds, found by reading it once."""

    stamps: list[Fraction]  #: of the video, sorted, in s
    base: Fraction
    contents: dict[int, Content]
    sha256: str


def _read(path: Path, video: int) -> FinishedFile:
    with read_through(path) as (file, reader):
        demuxer, base = Demuxer(file), Fraction(file.streams[video].time_base)
        ticks = [p.pts for p in demuxer.packets() if p.stream_index == video and p.size and p.pts is not None]
        stamps = [tick * base for tick in sorted(ticks)]
        return FinishedFile(stamps=stamps, base=base, contents=demuxer.contents(), sha256=reader.sha256())


def _rewritten_sha256(job: MuxJob, scratch: Path) -> str:
    """The sha256 of the video's packets as the container's muxer changes them, which it does to raw streams."""
    try:
        with open(scratch, "wb") as file:
            write_video(file, job.muxer, job.chunks, job.timeline, job.stream_format.colour())
        return contents(scratch)[0].sha256
    finally:
        scratch.unlink(missing_ok=True)


def _wrong(what: str, must: object, got: object) -> ResultError:
    return ResultError(f"{what} must be {must}, got {got}; all chunks are kept: please report it with the certificate")


def check_result(job: MuxJob, output: Path, video_sha256: str) -> dict[str, Any]:
    """Compare the finished file with what it must be; returns what was found, for the certificate.

    ``video_sha256``: of the packets that were written. Raises: ResultError.
    """
    written = [track for track in tracks(output) if track.kind != "data"]
    kinds = [track.kind for track in job.kept if track.kind != "data"]
    if sorted(track.kind for track in written) != sorted(kinds):
        raise _wrong("streams of the result", ", ".join(kinds), ", ".join(track.kind for track in written))
    index = video_index(job, written)
    found = _read(output, index)
    shift = _check_stamps(job, found)
    scratch, coded = output.parent / "temp" / "alone.mkv", found.contents[index].sha256
    if video_sha256 != coded != _rewritten_sha256(job, scratch):
        raise _wrong("content of the video", video_sha256, coded)
    copied = _check_copies(job, written, found, shift, scratch)
    if not copied and shift:
        begin = job.timeline.ticks[0] * job.timeline.base
        raise _wrong("first timestamp", f"{float(begin):.6f} s", f"{float(found.stamps[0]):.6f} s")
    return {
        "sha256": found.sha256, "frames": len(found.stamps), "last_timestamp_s": float(found.stamps[-1]),
        "shift_s": float(shift), "video_sha256": coded, "copied": copied,
    }  # fmt: skip


def _check_stamps(job: MuxJob, found: FinishedFile) -> Fraction:
    """By how many seconds the timestamps are later than the source's, all alike."""
    expected = [tick * job.timeline.base for tick in job.timeline.ticks]
    if len(found.stamps) != len(expected):
        raise _wrong("frames of the result", len(expected), len(found.stamps))
    shift = found.stamps[0] - expected[0]  # a container without negative timestamps moves all streams alike
    for n, (stamp, must) in enumerate(zip(found.stamps, expected, strict=True)):
        if abs(stamp - must - shift) > found.base:
            raise _wrong(f"timestamp of frame {n}", f"{float(must + shift):.6f} s", f"{float(stamp):.6f} s")
    return shift


def _check_copies(
    job: MuxJob, written: Sequence[Track], found: FinishedFile, shift: Fraction, scratch: Path
) -> list[dict[str, str]]:
    """The copied streams with their hashes, for the certificate."""
    copied = []
    for track, copy in copied_pairs(job, written):
        old, new = job.contents[track.index], found.contents[copy.index]
        if old.sha256 != new.sha256 != copied_sha256(job.source, track.index, scratch, job.span):
            raise _wrong(f"content of {track.label}", old.sha256, new.sha256)
        if old.first_s is not None and new.first_s is not None and not track.disposition & COVER:
            must = old.first_s + shift
            if abs(new.first_s - must) > found.base + MILLISECOND:
                raise _wrong(f"start of {track.label}", f"{float(must):.6f} s", f"{float(new.first_s):.6f} s")
        copied.append({"stream": track.label, "sha256": new.sha256})
    return copied


def video_index(job: MuxJob, written: Sequence[Track]) -> int:
    """Where the new video stands in the finished file."""
    videos = [track.index for track in job.kept if track.kind == "video"]
    return [track.index for track in written if track.kind == "video"][videos.index(job.video)]


def copied_pairs(job: MuxJob, written: Sequence[Track]) -> Iterator[tuple[Track, Track]]:
    """Each copied stream beside its copy; muxers may move kinds apart, but keep the order within one."""
    for kind in _KINDS:
        old = [track for track in job.kept if track.kind == kind]
        new = [track for track in written if track.kind == kind]
        yield from ((a, b) for a, b in zip(old, new, strict=True) if a.index != job.video)
