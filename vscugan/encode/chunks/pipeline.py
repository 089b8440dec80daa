"""Frames into encoders, chunk by chunk: decoding, upscaling, encoding and checking overlap."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import vapoursynth as vs

from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.chunks.encoding import ChunkContext, Encoding, failure, feed_frame, start_encoding
from vscugan.encode.chunks.finish import finish_chunk
from vscugan.encode.chunks.progress_meter import ProgressMeter
from vscugan.encode.encoders import y4m
from vscugan.errors import FrameError

#: frames that are computed before the encoder takes them: their memory, and how many
PREFETCH_BYTES = 512 << 20
MAX_PREFETCH = 16
#: chunks whose encoder has all its frames and is still at work, or that are being checked
MAX_FINISHING = 2


def _frames(context: ChunkContext, chunks: Sequence[Chunk]) -> Iterator[vs.VideoFrame]:
    """The frames of all chunks one after the other, computed in advance across the cuts.

    Raises: vs.Error for a frame that can't be computed.
    """
    parts = [context.clip[chunk.start : chunk.stop] for chunk in chunks]
    joined = parts[0] if len(parts) == 1 else vs.core.std.Splice(parts)
    video = context.stream_format
    frame_bytes = video.width * video.height * (1 if video.is_gray else 3) * (2 if video.bits > 8 else 1)
    prefetch = max(2, min(MAX_PREFETCH, PREFETCH_BYTES // frame_bytes))
    if chunks[0].start == context.computed[0]:
        with context.computed[1] as first:
            yield first
        if joined.num_frames == 1:
            return
        joined = joined[1:]
    yield from joined.frames(prefetch=prefetch, close=True)


def _reused_share(frame: vs.VideoFrame) -> float | None:
    """The share of the frame that was not computed, None where its props do not report it."""
    share = frame.props.get("CuganReused")
    return float(share) if isinstance(share, int | float) else None


def encode_chunks(context: ChunkContext, chunks: Sequence[Chunk], progress: ProgressMeter) -> dict[str, float]:
    """Encode these chunks; returns how long frames were waited for and how long they were handed over, in s.

    A chunk's encoder is closed and its file checked while the next one is fed already. Raises: CuganError.
    """
    times = {"waiting_for_frames_s": 0.0, "handing_over_s": 0.0}
    if not chunks:
        return times
    frames = _frames(context, chunks)
    slots = threading.Semaphore(MAX_FINISHING)
    finishing: list[Future[Any]] = []

    def finish(encoding: Encoding) -> None:
        try:
            progress.finished(int(finish_chunk(context, encoding)["bytes"]))
        finally:
            slots.release()

    with ThreadPoolExecutor(2) as hasher, ThreadPoolExecutor(MAX_FINISHING) as pool:
        for chunk in chunks:
            slots.acquire()
            for done in [future for future in finishing if future.done()]:
                finishing.remove(done)
                done.result()
            encoding = start_encoding(context, chunk)
            _encode(context, encoding, frames, hasher, progress, times)
            finishing.append(pool.submit(finish, encoding))
        for future in finishing:
            future.result()
    return times


def _encode(
    context: ChunkContext, encoding: Encoding, frames: Iterator[vs.VideoFrame], hasher: ThreadPoolExecutor,
    progress: ProgressMeter, times: dict[str, float],
) -> None:  # fmt: skip
    """Hand all frames of one chunk to its encoder."""
    pipe = encoding.process.stdin
    assert pipe
    try:
        pipe.write(y4m.header(context.stream_format))
        for _ in range(encoding.chunk.frames):
            start = time.perf_counter()
            try:
                frame = next(frames)
            except vs.Error as error:
                raise FrameError(f"frame must be computed, got {error}; finished chunks are kept") from error
            ready = time.perf_counter()
            feed_frame(context, encoding, frame, hasher)
            progress.frame(_reused_share(frame))
            times["waiting_for_frames_s"] += ready - start
            times["handing_over_s"] += time.perf_counter() - ready
        pipe.close()
    except OSError as error:
        raise failure(context, encoding) from error
    except BaseException:
        encoding.process.kill()
        encoding.process.wait()
        raise
