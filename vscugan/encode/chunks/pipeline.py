"""Frames into encoders, chunk by chunk: decoding, upscaling, encoding and checking overlap."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vscugan.clip.upscale import read_report
from vscugan.encode.chunks.children import Children
from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.chunks.chunk_check import check_chunk
from vscugan.encode.chunks.progress_meter import ProgressMeter
from vscugan.encode.chunks.sketch import sketch
from vscugan.encode.chunks.trial import reason
from vscugan.encode.container.streams import refuse_unsupported_video
from vscugan.encode.encoders import y4m
from vscugan.encode.encoders.programs import Program, command, output_suffix
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.encode.job.events import Emit
from vscugan.encode.job.journal import Entry, Journal
from vscugan.encode.job.work_folder import create_file
from vscugan.errors import CuganError, DiskError, EncoderError, FrameError
from vscugan.files import disk_error, is_full, sha256, sync_file, sync_folder

#: frames that wait for the encoder may take so much memory, and be so many
WAITING_BYTES = 512 << 20
MOST_WAITING = 16
#: chunks whose encoder has all its frames and is still at work, or that are being checked
FINISHING = 2
#: a larger pipe saves switches between the processes; Linux only
PIPE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Job:
    """How chunks are made, and where."""

    clip: vs.VideoNode
    stream_format: StreamFormat
    program: Program
    arguments: tuple[str, ...]
    format: str  #: the container's
    folder: Path
    journal: Journal
    children: Children
    emit: Emit
    first: tuple[int, vs.VideoFrame]  #: a frame that is computed already, and its number
    made_by: dict[str, str]  #: what computes the frames, as they tell
    hardware: dict[str, str]
    #: held from the comparison of a chunk's header with the first one's until the chunk is in the journal
    committing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def chunk_folder(self) -> Path:
        """Where finished chunks are."""
        return self.folder / "chunks"

    @property
    def temp_folder(self) -> Path:
        """Where unfinished ones are; emptied at every start."""
        return self.folder / "temp"

    def chunk_name(self, chunk: Chunk) -> str:
        """The file name of a chunk."""
        return f"{chunk.number:06d}{output_suffix(self.program, self.arguments)}"


@dataclass(kw_only=True)
class Encoding:
    """One encoder at work on one chunk."""

    chunk: Chunk
    process: subprocess.Popen[bytes]
    temp: Path
    log: Path
    started: float
    hashes: list[str] = field(default_factory=list)
    sketches: list[str] = field(default_factory=list)
    tiles: set[str | None] = field(default_factory=set)  #: by which the frames were computed, as they tell


def _widen(process: subprocess.Popen[bytes]) -> None:
    if sys.platform != "linux":
        return
    import fcntl

    with contextlib.suppress(OSError):  # the user's share of pipe memory may be used up
        fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)  # type: ignore[arg-type]


def _start(job: Job, chunk: Chunk) -> Encoding:
    temp = job.temp_folder / job.chunk_name(chunk)
    log = temp.with_suffix(".log")
    call = command(job.program, job.arguments, job.stream_format, temp)
    try:
        with create_file(log) as said:
            process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=said, stderr=said)
    except OSError as error:
        raise disk_error(log, error) from error
    job.children.add(process)
    _widen(process)
    return Encoding(chunk=chunk, process=process, temp=temp, log=log, started=time.monotonic())


def _failed(job: Job, encoding: Encoding) -> CuganError:
    """Why an encoder ended before its time, in its own words where it has some."""
    code = encoding.process.wait()
    free = shutil.disk_usage(job.folder).free
    log = encoding.log.read_text(encoding="utf-8", errors="replace")
    said = reason(log) or "without a word"
    if is_full(job.folder, log):
        return DiskError(
            f"disk must have room, got {free >> 20} MiB left in {job.folder.parent.name or '/'} ({said}); "
            "make room, then run the same command again: finished chunks are kept"
        )
    return EncoderError(
        f"encoder {job.program.name} must take all frames, got its end with {code} in chunk "
        f"{encoding.chunk.number}: {said}; mend it, then run the same command again: finished chunks are kept"
    )


def _finish(job: Job, encoding: Encoding) -> Entry:
    """Wait for the encoder, check what it wrote, and make it durable: file, journal, then the final name.

    The journal decides: a crash between it and the renaming is mended by ``recover``.
    Raises: EncoderError, DiskError, PlanError.
    """
    if encoding.process.wait():
        raise _failed(job, encoding)
    chunk, temp = encoding.chunk, encoding.temp
    checked = check_chunk(temp, chunk, (job.stream_format.width, job.stream_format.height))
    entry = {
        "kind": "chunk", "chunk": chunk.number, "start": chunk.start, "stop": chunk.stop, "file": temp.name,
        "bytes": temp.stat().st_size, "sha256": sha256(temp), "codec": checked.codec,
        "header_sha256": checked.header_sha256, "order": list(checked.order), "frames": encoding.hashes,
        "sketches": encoding.sketches, "hardware": job.hardware,
        "tile": encoding.tiles.pop() if len(encoding.tiles) == 1 else None,
        "seconds": round(time.monotonic() - encoding.started, 3),
    }  # fmt: skip
    try:
        sync_file(temp)
        sync_folder(temp.parent)
        with job.committing:
            _check_header(job, entry, temp)
            job.journal.append(entry)
        temp.replace(job.chunk_folder / temp.name)
        sync_folder(job.chunk_folder)
    except OSError as error:
        raise disk_error(temp, error) from error
    encoding.log.unlink(missing_ok=True)
    job.emit("chunk", chunk=chunk.number, frames=chunk.frames, bytes=entry["bytes"], seconds=entry["seconds"])
    return entry


def _check_header(job: Job, entry: Entry, temp: Path) -> None:
    """Refuse a chunk whose stream header is not that of the first one, or a first one that the output can't hold.

    Raises: EncoderError, PlanError.
    """
    for first in job.journal.of_kind("chunk")[:1]:
        if first["header_sha256"] != entry["header_sha256"]:
            raise EncoderError(
                f"chunk {entry['chunk']} must have the stream header of chunk {first['chunk']}, got another; "
                "leave out encoder arguments that depend on the content or the length"
            )
        return
    refuse_unsupported_video(temp, job.format)


def recover(job: Job, chunks: Sequence[Chunk]) -> tuple[dict[int, Entry], list[int]]:
    """Those of the chunks that the runs before have finished, by number, and the numbers of those no longer whole.

    What the journal does not name is removed.
    """
    whole: dict[int, Entry] = {}
    for entry in job.journal.of_kind("chunk"):
        chunk = Chunk(number=entry["chunk"], start=entry["start"], stop=entry["stop"])
        if chunk not in chunks or entry["file"] != job.chunk_name(chunk):
            continue
        temp, path = job.temp_folder / entry["file"], job.chunk_folder / entry["file"]
        if not path.exists() and temp.exists():
            temp.replace(path)
            sync_folder(path.parent)
        try:
            is_whole = path.stat().st_size == entry["bytes"] and sha256(path) == entry["sha256"]
        except OSError:
            is_whole = False
        if is_whole:
            whole[entry["chunk"]] = entry
    lost = sorted({entry["chunk"] for entry in job.journal.of_kind("chunk")} - whole.keys())
    named = {entry["file"] for entry in whole.values()}
    for path in [*job.temp_folder.iterdir(), *(p for p in job.chunk_folder.iterdir() if p.name not in named)]:
        path.unlink()
    return whole, lost


def _frames(job: Job, chunks: Sequence[Chunk]) -> Iterator[vs.VideoFrame]:
    """The frames of all chunks in one row, asked for in advance across the cuts."""
    parts = [job.clip[chunk.start : chunk.stop] for chunk in chunks]
    row = parts[0] if len(parts) == 1 else vs.core.std.Splice(parts)
    stream_format = job.stream_format
    frame_bytes = stream_format.width * stream_format.height * (1 if stream_format.is_gray else 3) * (2 if stream_format.bits > 8 else 1)
    waiting = max(2, min(MOST_WAITING, WAITING_BYTES // frame_bytes))
    if chunks[0].start == job.first[0]:
        with job.first[1] as first:
            yield first
        if row.num_frames == 1:
            return
        row = row[1:]
    yield from row.frames(prefetch=waiting, close=True)


def _feed(job: Job, encoding: Encoding, frame: vs.VideoFrame, hasher: ThreadPoolExecutor) -> None:
    """One frame into its encoder, hashed at the same time."""
    digest, sketched = hasher.submit(y4m.frame_hash, frame), hasher.submit(sketch, frame)
    pipe = encoding.process.stdin
    assert pipe
    try:
        pipe.write(y4m.FRAME)
        for plane in y4m.planes(frame):
            pipe.write(plane)
    except OSError as error:
        wait((digest, sketched))
        raise _failed(job, encoding) from error
    encoding.hashes.append(digest.result())
    encoding.sketches.append(sketched.result())
    encoding.tiles.add(read_report(frame.props).get("tile"))


def _reused(frame: vs.VideoFrame) -> float | None:
    share = frame.props.get("CuganReused")
    return float(share) if isinstance(share, int | float) else None


def encode_chunks(job: Job, chunks: Sequence[Chunk], progress: ProgressMeter) -> dict[str, float]:
    """Encode these chunks; returns how long frames were waited for and how long they were handed over, in s.

    A chunk's encoder is closed and its file checked while the next one is fed already. Raises: CuganError.
    """
    times = {"waiting_for_frames_s": 0.0, "handing_over_s": 0.0}
    if not chunks:
        return times
    frames = _frames(job, chunks)
    slots = threading.Semaphore(FINISHING)
    finishing: list[Future[Any]] = []

    def finish(encoding: Encoding) -> None:
        try:
            progress.finished(int(_finish(job, encoding)["bytes"]))
        finally:
            slots.release()

    with ThreadPoolExecutor(2) as hasher, ThreadPoolExecutor(FINISHING) as pool:
        for chunk in chunks:
            slots.acquire()
            for done in [future for future in finishing if future.done()]:
                finishing.remove(done)
                done.result()
            encoding = _start(job, chunk)
            _encode(job, encoding, frames, hasher, progress, times)
            finishing.append(pool.submit(finish, encoding))
        for future in finishing:
            future.result()
    return times


def _encode(
    job: Job, encoding: Encoding, frames: Iterator[vs.VideoFrame], hasher: ThreadPoolExecutor, progress: ProgressMeter,
    times: dict[str, float],
) -> None:  # fmt: skip
    """All frames of one chunk into its encoder."""
    pipe = encoding.process.stdin
    assert pipe
    try:
        pipe.write(y4m.header(job.stream_format))
        for _ in range(encoding.chunk.frames):
            start = time.perf_counter()
            try:
                frame = next(frames)
            except vs.Error as error:
                raise FrameError(f"frame must be computed, got {error}; finished chunks are kept") from error
            ready = time.perf_counter()
            _feed(job, encoding, frame, hasher)
            progress.frame(_reused(frame))
            times["waiting_for_frames_s"] += ready - start
            times["handing_over_s"] += time.perf_counter() - ready
        pipe.close()
    except OSError as error:
        raise _failed(job, encoding) from error
    except BaseException:
        encoding.process.kill()
        encoding.process.wait()
        raise
