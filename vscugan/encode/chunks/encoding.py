"""One encoder at work on one chunk: its process, what it is fed, and why it failed."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import vapoursynth as vs

from vscugan.clip.upscale import read_report
from vscugan.encode.chunks.children import Children
from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.chunks.sketch import sketch
from vscugan.encode.chunks.trial import reason
from vscugan.encode.encoders import y4m
from vscugan.encode.encoders.command_line import command, output_suffix
from vscugan.encode.encoders.programs import Program
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.encode.job.events import Emit
from vscugan.encode.job.journal import Journal
from vscugan.encode.job.work_folder import create_file
from vscugan.errors import CuganError, DiskError, EncoderError
from vscugan.files import disk_error, is_full

#: a larger pipe saves switches between the processes; Linux only
PIPE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ChunkSetup:
    """How chunks of a clip are encoded, wherever that is done."""

    clip: vs.VideoNode
    stream_format: StreamFormat
    program: Program
    arguments: tuple[str, ...]
    folder: Path
    children: Children
    hardware: dict[str, str] = field(default_factory=dict)  #: what computes the frames, for the journal

    @property
    def temp_folder(self) -> Path:
        """Where unfinished ones are; emptied at every start."""
        return self.folder / "temp"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        return self.stream_format.width, self.stream_format.height

    def chunk_name(self, chunk: Chunk) -> str:
        """The file name of a chunk."""
        return f"{chunk.number:06d}{output_suffix(self.program, self.arguments)}"


@dataclass(frozen=True, kw_only=True)
class ChunkContext(ChunkSetup):
    """The same in the process that keeps the journal."""

    muxer: str  #: of the finished file, as libav calls it
    journal: Journal
    emit: Emit
    computed: tuple[int, vs.VideoFrame]  #: the number of a frame that is computed already, and the frame
    #: held from the comparison of a chunk's header with the first one's until the chunk is in the journal
    committing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def chunk_folder(self) -> Path:
        """Where finished chunks are."""
        return self.folder / "chunks"


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
    tiles: set[str | None] = field(default_factory=set)  #: by which the frames were computed, as their props report


def _widen_pipe(process: subprocess.Popen[bytes]) -> None:
    if sys.platform != "linux":
        return
    import fcntl

    assert process.stdin
    with contextlib.suppress(OSError):  # the user's share of pipe memory may be used up
        fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def start_encoding(context: ChunkSetup, chunk: Chunk) -> Encoding:
    """Start the encoder of a chunk.

    Raises: DiskError.
    """
    temp = context.temp_folder / context.chunk_name(chunk)
    log = temp.with_suffix(".log")
    call = command(context.program, context.arguments, context.stream_format, temp)
    try:
        with create_file(log) as output:
            process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=output, stderr=output)
    except OSError as error:
        raise disk_error(log, error) from error
    context.children.add(process)
    _widen_pipe(process)
    return Encoding(chunk=chunk, process=process, temp=temp, log=log, started=time.monotonic())


def failure(context: ChunkSetup, encoding: Encoding) -> CuganError:
    """The error for an encoder that ended before its time: a full disk, or its own reason where it gives one."""
    code = encoding.process.wait()
    free = shutil.disk_usage(context.folder).free
    log = encoding.log.read_text(encoding="utf-8", errors="replace")
    why = reason(log) or "without a word"
    if is_full(context.folder, log):
        return DiskError(
            f"disk must have room, got {free >> 20} MiB left in {context.folder.parent.name or '/'} ({why}); "
            "make room, then run the same command again: finished chunks are kept"
        )
    return EncoderError(
        f"encoder {context.program.name} must take all frames, got its end with {code} in chunk "
        f"{encoding.chunk.number}: {why}; correct this, then run the same command again: finished chunks are kept"
    )


def feed_frame(context: ChunkSetup, encoding: Encoding, frame: vs.VideoFrame, hasher: ThreadPoolExecutor) -> None:
    """Hand one frame to its encoder, and hash it at the same time.

    Raises: EncoderError, DiskError.
    """
    hashed, sketched = hasher.submit(y4m.frame_hash, frame), hasher.submit(sketch, frame)
    pipe = encoding.process.stdin
    assert pipe
    try:
        pipe.write(y4m.FRAME)
        for plane in y4m.planes(frame):
            pipe.write(plane)
    except OSError as error:
        wait((hashed, sketched))
        raise failure(context, encoding) from error
    encoding.hashes.append(hashed.result())
    encoding.sketches.append(sketched.result())
    encoding.tiles.add(read_report(frame.props).get("tile"))
