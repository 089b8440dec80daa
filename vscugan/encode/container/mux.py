"""The finished file: the new video, and everything else of the source copied bit for bit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vscugan.encode.container import matroska
from vscugan.encode.container import streams as container
from vscugan.encode.container.streams import Track, tracks
from vscugan.encode.container.timeline import Timeline
from vscugan.encode.container.video import CodedChunk, pipe_offset, timescale, write_video
from vscugan.encode.encoders.programs import find_ffmpeg
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.errors import CuganError, DiskError, ResultError, WorkerError
from vscugan.exits import ending
from vscugan.files import disk_error, is_full

#: ffmpeg's names of libav's disposition flags
DISPOSITIONS = ("default", "dub", "original", "comment", "lyrics", "karaoke", "forced", "hearing_impaired",
                "visual_impaired", "clean_effects", "attached_pic", "captions", "descriptions", "dependent",
                "metadata")  # fmt: skip
FILE_TOO_LARGE = int(getattr(signal, "SIGXFSZ", 25))  #: kills who writes beyond a limit of the shell's
MILLISECOND = Fraction(1, 1000)  #: Matroska's tick
_KINDS = ("video", "audio", "subtitle", "attachment")


@dataclass(frozen=True, kw_only=True)
class MuxJob:
    """What goes into the finished file."""

    source: Path
    video: int  #: the source's video stream, which is replaced
    kept: tuple[Track, ...]  #: all streams of the source that are written, the video among them
    chunks: tuple[CodedChunk, ...]
    timeline: Timeline
    stream_format: StreamFormat
    format: str
    header: matroska.Header | None  #: the source's, where it is put back into the file
    contents: dict[int, container.Content]  #: of the source's streams


def _disposition(flags: int) -> str:
    names = [name for name in DISPOSITIONS if flags & int(av.stream.Disposition[name])]
    return "+".join(names) or "0"


def _is_attached_cover(job: MuxJob, track: Track) -> bool:
    """Whether a stream is a cover that the container keeps as an attached file, which ffmpeg does not do by itself."""
    return job.format == "matroska" and track.kind == "video" and bool(track.disposition & container.COVER)


def _mapped(job: MuxJob) -> list[Track]:
    """The streams that ffmpeg copies, in their order; what it attaches stands behind them."""
    return [track for track in job.kept if not _is_attached_cover(job, track)]


def _written_covers(job: MuxJob, folder: Path) -> list[tuple[Track, Path]]:
    """The covers that must be attached, as files."""
    written = []
    for track in filter(lambda t: _is_attached_cover(job, t), job.kept):
        path = folder / f"cover{track.index}{container.COVER_FILES[track.codec][0]}"
        path.write_bytes(container.cover_content(job.source, track.index))
        written.append((track, path))
    return written


def mux_command(job: MuxJob, covers: Sequence[tuple[Track, Path]], output: Path) -> list[str]:
    """ffmpeg's arguments: video from stdin in place of the source's, everything else copied, in the old order."""
    offset = pipe_offset(job.format, job.chunks, job.timeline) * job.timeline.base
    command = [
        find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-y", "-copyts",
        "-itsoffset", f"{round(offset * 1_000_000)}us", "-f", job.format, "-i", "pipe:0",
        "-i", f"file:{job.source}", "-map_metadata", "1", "-map_chapters", "1", "-c", "copy",
        "-copy_unknown",
    ]  # fmt: skip
    inner = _mapped(job)
    for number, track in enumerate(inner):
        command += [f"-map_metadata:s:{number}", f"1:s:{track.index}"]  # one that is said ends the automatic ones
        command += [f"-disposition:{number}", _disposition(track.disposition)]
        if track.index != job.video:
            command += ["-map", f"1:{track.index}"]
            continue
        command += ["-map", "0:v:0"]
        for name in filter(container.is_stale, track.tags):
            command += [f"-metadata:s:{number}", f"{name}="]
        shape = job.stream_format.sar * Fraction(job.stream_format.width, job.stream_format.height)
        command += [f"-aspect:{number}", f"{shape.numerator}:{shape.denominator}"]
    for number, (track, path) in enumerate(covers, len(inner)):
        own = {"filename": f"cover{path.suffix}", "mimetype": container.COVER_FILES[track.codec][1]}
        command += ["-attach", str(path)]
        for name, value in (own | {name: value for name, value in track.tags.items() if value}).items():
            command += [f"-metadata:s:{number}", f"{name}={value}"]
    if job.format == "matroska":
        command += ["-default_mode", "passthrough"]
        if job.header:
            command += ["-metadata_header_padding", str(job.header.room)]
    else:
        command += ["-video_track_timescale", str(timescale(job.timeline.base)), "-movflags", "+faststart"]
    return [*command, "-max_muxing_queue_size", "65536", "-f", job.format, f"file:{output}"]


@contextmanager
def _running(command: Sequence[str], log: Path, started: Callable[[Any], None]) -> Iterator[subprocess.Popen[bytes]]:
    with open(log, "wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=errors, stderr=errors)
        started(process)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def _failed(folder: Path, code: int, said: str, broken: Exception | None) -> CuganError:
    """Why the finished file was not written: a full disk, a kill, or what ffmpeg or the pipe to it says."""
    reason = said.splitlines()[-1] if said else broken or ending(code)
    if code == -FILE_TOO_LARGE or (code >= 0 and is_full(folder, said)):
        free = shutil.disk_usage(folder).free
        return DiskError(
            f"finished file must be writable, got {reason} with {free >> 20} MiB left; "
            "all chunks are kept: make room, then run the same command again"
        )
    if code < 0:
        return WorkerError(
            f"ffmpeg must write the finished file, got {ending(code)}; "
            "all chunks are kept: run the same command again to go on"
        )
    return ResultError(
        f"finished file must be written by ffmpeg, got {reason}; "
        "all chunks are kept: run the same command again, and report it if it says so again"
    )


def mux(job: MuxJob, output: Path, started: Callable[[Any], None]) -> tuple[tuple[str, ...], str]:
    """Write the finished file; ``started`` is handed the process, so that a stop can end it.

    Returns notes for people, and the sha256 of the video's packets.
    The video goes through a pipe: when this process dies, the other sees the end of it and ends too.
    Raises: DiskError, WorkerError where ffmpeg was killed, ResultError.
    """
    log = output.with_suffix(".log")
    broken: Exception | None = None
    video = ""
    covers = _written_covers(job, output.parent / "temp")
    with _running(mux_command(job, covers, output), log, started) as process:
        assert process.stdin
        try:
            video = write_video(process.stdin, job.format, job.chunks, job.timeline, job.stream_format.colour())
        except (av.FFmpegError, OSError) as error:  # what ffmpeg has to say about it is in the log
            broken = error
        finally:
            try:
                process.stdin.close()
            except OSError as error:
                broken = broken or error
        code = process.wait()
    said = log.read_text(encoding="utf-8", errors="replace").strip()
    log.unlink()
    if code or broken:
        raise _failed(output.parent, code, said, broken)
    return _put_back(job, [track for track, _ in covers], output), video


def _put_back(job: MuxJob, covers: Sequence[Track], output: Path) -> tuple[str, ...]:
    """What ffmpeg left out of a Matroska file's header."""
    if not job.header:
        return ()
    streams = [track.index for track in (*_mapped(job), *covers)]
    try:
        matroska.put_back(job.header, streams, job.video, output)
    except ValueError as error:
        return (matroska.left_to_libav(f"there is {error}"),)
    except OSError as error:
        raise disk_error(output, error) from error
    return ()


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the finished file holds, found by reading it once."""

    stamps: list[Fraction]  #: of the video, sorted, in s
    base: Fraction
    contents: dict[int, container.Content]
    sha256: str


def _read(path: Path, video: int) -> Found:
    with container.read_through(path) as (file, reader):
        demuxer, base = container.Demuxer(file), Fraction(file.streams[video].time_base)
        ticks = [p.pts for p in demuxer.packets() if p.stream_index == video and p.size and p.pts is not None]
        stamps = [tick * base for tick in sorted(ticks)]
        return Found(stamps=stamps, base=base, contents=demuxer.contents(), sha256=reader.sha256())


def _rewritten_sha256(job: MuxJob, scratch: Path) -> str:
    """The sha256 of the video's packets as the container's muxer changes them, which it does to raw streams."""
    try:
        with open(scratch, "wb") as file:
            write_video(file, job.format, job.chunks, job.timeline, job.stream_format.colour())
        return container.contents(scratch)[0].sha256
    finally:
        scratch.unlink(missing_ok=True)


def check_result(job: MuxJob, output: Path, video: str) -> dict[str, Any]:
    """Compare the finished file with what it must be; returns what was found, for the certificate.

    ``video``: the sha256 of the packets that were written. Raises: ResultError.
    """

    def wrong(what: str, must: object, got: object) -> ResultError:
        return ResultError(
            f"{what} must be {must}, got {got}; all chunks are kept: please report it with the certificate"
        )

    found = [track for track in tracks(output) if track.kind != "data"]
    kinds = [track.kind for track in job.kept if track.kind != "data"]
    if sorted(track.kind for track in found) != sorted(kinds):
        raise wrong("streams of the result", ", ".join(kinds), ", ".join(track.kind for track in found))
    place = new_index(job, found)
    read = _read(output, place)
    stamps, base = read.stamps, read.base
    wanted = [tick * job.timeline.base for tick in job.timeline.ticks]
    if len(stamps) != len(wanted):
        raise wrong("frames of the result", len(wanted), len(stamps))
    shift = stamps[0] - wanted[0]  # a container without negative timestamps moves all streams alike
    for n, (stamp, must) in enumerate(zip(stamps, wanted, strict=True)):
        if abs(stamp - must - shift) > base:
            raise wrong(f"timestamp of frame {n}", f"{float(must + shift):.6f} s", f"{float(stamp):.6f} s")
    alone, coded = output.parent / "temp" / "alone.mkv", read.contents[place].sha256
    if video != coded != _rewritten_sha256(job, alone):
        raise wrong("content of the video", video, coded)
    copies = []
    for track, copy in pairs(job, found):
        old, new = job.contents[track.index], read.contents[copy.index]
        if old.sha256 != new.sha256 != container.copied_sha256(job.source, track.index, alone):
            raise wrong(f"content of {track.label}", old.sha256, new.sha256)
        if old.first_s is not None and new.first_s is not None and not track.disposition & container.COVER:
            must = old.first_s + shift
            if abs(new.first_s - must) > base + MILLISECOND:
                raise wrong(f"start of {track.label}", f"{float(must):.6f} s", f"{float(new.first_s):.6f} s")
        copies.append({"stream": track.label, "sha256": new.sha256})
    if not copies and shift:
        raise wrong("first timestamp", f"{float(wanted[0]):.6f} s", f"{float(stamps[0]):.6f} s")
    return {
        "sha256": read.sha256, "frames": len(stamps), "last_timestamp_s": float(stamps[-1]), "shift_s": float(shift),
        "video_sha256": coded, "copied": copies,
    }  # fmt: skip


def new_index(job: MuxJob, found: Sequence[Track]) -> int:
    """Where the new video stands in the finished file."""
    videos = [track.index for track in job.kept if track.kind == "video"]
    return [track.index for track in found if track.kind == "video"][videos.index(job.video)]


def pairs(job: MuxJob, found: Sequence[Track]) -> Iterator[tuple[Track, Track]]:
    """Each copied stream beside its copy; muxers may move kinds apart, but keep the order within one."""
    for kind in _KINDS:
        old = [track for track in job.kept if track.kind == kind]
        new = [track for track in found if track.kind == kind]
        yield from ((a, b) for a, b in zip(old, new, strict=True) if a.index != job.video)


def _link(temp: Path, output: Path) -> None:
    """A second name for a file, which fails where the name is taken; a file system without links gets a look first."""
    try:
        os.link(temp, output)
    except OSError as error:
        if isinstance(error, FileExistsError) or output.exists():
            raise FileExistsError(output) from error
        os.rename(temp, output)


def exists_already(output: Path) -> DiskError:
    """The error for an output that another program made during the encode."""
    return DiskError(
        f"output must not exist yet, got {output.name!r}, which came up meanwhile; "
        "move it away, then run the same command again"
    )


def publish(temp: Path, output: Path, overwrite: bool) -> None:
    """Give the finished file its name, at once and without replacing another one unless asked to.

    Raises: DiskError.
    """
    try:
        if overwrite:
            os.replace(temp, output)
        else:
            _link(temp, output)
            temp.unlink(missing_ok=True)
    except FileExistsError:
        raise exists_already(output) from None
    except OSError as error:
        raise disk_error(output, error) from error
