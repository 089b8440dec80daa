"""The finished file: the new video, and everything else of the source copied bit for bit."""

from __future__ import annotations

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

from vscugan.encode.container.matroska_header import Header, left_to_libav
from vscugan.encode.container.matroska_restore import put_back
from vscugan.encode.container.streams import (
    COVER,
    COVER_FILES,
    Content,
    Track,
    cover_content,
    input_options,
    output_options,
)
from vscugan.encode.container.timeline import Span, Timeline
from vscugan.encode.container.unsupported import is_stale
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


@dataclass(frozen=True, kw_only=True)
class MuxJob:
    """What goes into the finished file."""

    source: Path
    video: int  #: the source's video stream, which is replaced
    kept: tuple[Track, ...]  #: all streams of the source that are written, the video among them
    chunks: tuple[CodedChunk, ...]
    timeline: Timeline
    stream_format: StreamFormat
    muxer: str  #: as libav calls it
    header: Header | None  #: the source's, where it is put back into the file
    contents: dict[int, Content]  #: of the source's streams
    span: Span | None = None  #: the part of the source that is taken


def _disposition(flags: int) -> str:
    names = [name for name in DISPOSITIONS if flags & int(av.stream.Disposition[name])]
    return "+".join(names) or "0"


def _is_attached_cover(job: MuxJob, track: Track) -> bool:
    """Whether a stream is a cover that the container keeps as an attached file, which ffmpeg does not do by itself."""
    return job.muxer == "matroska" and track.kind == "video" and bool(track.disposition & COVER)


def _mapped(job: MuxJob) -> list[Track]:
    """The streams that ffmpeg copies, in their order; what it attaches stands behind them."""
    return [track for track in job.kept if not _is_attached_cover(job, track)]


def _written_covers(job: MuxJob, folder: Path) -> list[tuple[Track, Path]]:
    """The covers that must be attached, as files."""
    written = []
    for track in filter(lambda t: _is_attached_cover(job, t), job.kept):
        path = folder / f"cover{track.index}{COVER_FILES[track.codec][0]}"
        path.write_bytes(cover_content(job.source, track.index))
        written.append((track, path))
    return written


def mux_command(job: MuxJob, covers: Sequence[tuple[Track, Path]], output: Path) -> list[str]:
    """ffmpeg's arguments: video from stdin in place of the source's, everything else copied, in the old order."""
    offset = pipe_offset(job.muxer, job.chunks, job.timeline) * job.timeline.base
    command = [
        find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-y", "-copyts",
        "-itsoffset", f"{round(offset * 1_000_000)}us", "-f", job.muxer, "-i", "pipe:0",
        *input_options(job.span), "-i", f"file:{job.source}", "-map_metadata", "1", "-map_chapters", "1", "-c", "copy",
        "-copy_unknown", *output_options(job.span),
    ]  # fmt: skip
    inner = _mapped(job)
    for number, track in enumerate(inner):
        command += [f"-map_metadata:s:{number}", f"1:s:{track.index}"]  # one that is given ends the automatic ones
        command += [f"-disposition:{number}", _disposition(track.disposition)]
        if track.index != job.video:
            command += ["-map", f"1:{track.index}"]
            continue
        command += ["-map", "0:v:0"]
        for name in filter(is_stale, track.tags):
            command += [f"-metadata:s:{number}", f"{name}="]
        shape = job.stream_format.sar * Fraction(job.stream_format.width, job.stream_format.height)
        command += [f"-aspect:{number}", f"{shape.numerator}:{shape.denominator}"]
    for number, (track, path) in enumerate(covers, len(inner)):
        own = {"filename": f"cover{path.suffix}", "mimetype": COVER_FILES[track.codec][1]}
        command += ["-attach", str(path)]
        for name, value in (own | {name: value for name, value in track.tags.items() if value}).items():
            command += [f"-metadata:s:{number}", f"{name}={value}"]
    if job.muxer == "matroska":
        command += ["-default_mode", "passthrough"]
        if job.header:
            command += ["-metadata_header_padding", str(job.header.padding_bytes)]
    else:
        command += ["-video_track_timescale", str(timescale(job.timeline.base)), "-movflags", "+faststart"]
    return [*command, "-max_muxing_queue_size", "65536", "-f", job.muxer, f"file:{output}"]


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


def _failed(folder: Path, code: int, log: str, broken: Exception | None) -> CuganError:
    """Why the finished file was not written: a full disk, a kill, or what ffmpeg or the pipe to it reports."""
    reason = log.splitlines()[-1] if log else broken or ending(code)
    if code == -FILE_TOO_LARGE or (code >= 0 and is_full(folder, log)):
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
    log_path = output.with_suffix(".log")
    broken: Exception | None = None
    video = ""
    covers = _written_covers(job, output.parent / "temp")
    with _running(mux_command(job, covers, output), log_path, started) as process:
        assert process.stdin
        try:
            video = write_video(process.stdin, job.muxer, job.chunks, job.timeline, job.stream_format.colour())
        except (av.FFmpegError, OSError) as error:  # what ffmpeg has to say about it is in the log
            broken = error
        finally:
            try:
                process.stdin.close()
            except OSError as error:
                broken = broken or error
        code = process.wait()
    log = log_path.read_text(encoding="utf-8", errors="replace").strip()
    log_path.unlink()
    if code or broken:
        raise _failed(output.parent, code, log, broken)
    return _put_back(job, [track for track, _ in covers], output), video


def _put_back(job: MuxJob, covers: Sequence[Track], output: Path) -> tuple[str, ...]:
    """Restore what ffmpeg dropped of a Matroska file's header; returns notes for people."""
    if not job.header:
        return ()
    streams = [track.index for track in (*_mapped(job), *covers)]
    try:
        put_back(job.header, streams, job.video, output)
    except ValueError as error:
        return (left_to_libav(f"there is {error}"),)
    except OSError as error:
        raise disk_error(output, error) from error
    return ()
