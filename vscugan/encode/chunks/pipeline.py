"""Frames into encoders, chunk by chunk: decoding, upscaling, encoding and checking overlap."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import vapoursynth as vs

from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.chunks.encoding import ChunkContext, ChunkSetup, Encoding, failure, feed_frame, start_encoding
from vscugan.encode.chunks.finish import finish_chunk
from vscugan.encode.chunks.progress_meter import ProgressMeter
from vscugan.encode.encoders import y4m
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.errors import FrameError

#: frames that are computed before the encoder takes them: their memory, and how many
PREFETCH_BYTES = 512 << 20
MAX_PREFETCH = 16
#: chunks whose encoder has all its frames and is still at work, or that are being checked
MAX_FINISHING = 2


def computed_ahead(clip: vs.VideoNode, video: StreamFormat) -> Iterator[vs.VideoFrame]:
    """The frames of a clip, some of which are computed in advance.

    Raises: vs.Error for a frame that can't be computed.
    """
    frame_bytes = video.width * video.height * (1 if video.is_gray else 3) * (2 if video.bits > 8 else 1)
    prefetch = max(2, min(MAX_PREFETCH, PREFETCH_BYTES // frame_bytes))
    yield from clip.frames(prefetch=prefetch, close=True)


def _frames(context: ChunkContext, chunks: Sequence[Chunk]) -> Iterator[vs.VideoFrame]:
    """The frames of all chunks one after the other, computed in advance across the cuts.

    Raises: vs.Error for a frame that can't be computed.
    """
    parts = [context.clip[chunk.start : chunk.stop] for chunk in chunks]
    joined = parts[0] if len(parts) == 1 else vs.core.std.Splice(parts)
    if chunks[0].start == context.computed[0]:
        with context.computed[1] as first:
            yield first
        if joined.num_frames == 1:
            return
        joined = joined[1:]
    yield from computed_ahead(joined, context.stream_format)


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
            feed(context, encoding, frames, hasher, lambda frame: progress.frame(_reused_share(frame)), times)
            finishing.append(pool.submit(finish, encoding))
        for future in finishing:
            future.result()
    return times


def feed(
    setup: ChunkSetup, encoding: Encoding, frames: Iterator[vs.VideoFrame], hasher: ThreadPoolExecutor,
    fed: Callable[[vs.VideoFrame], None], times: dict[str, float],
) -> None:  # fmt: skip
    """Hand all frames of one chunk to its encoder; ``fed`` is called with each."""
    pipe = encoding.process.stdin
    assert pipe
    try:
        pipe.write(y4m.header(setup.stream_format))
        for _ in range(encoding.chunk.frames):
            start = time.perf_counter()
            try:
                frame = next(frames)
            except vs.Error as error:
                raise FrameError(f"frame must be computed, got {error}; finished chunks are kept") from error
            ready = time.perf_counter()
            feed_frame(setup, encoding, frame, hasher)
            fed(frame)
            times["waiting_for_frames_s"] += ready - start
            times["handing_over_s"] += time.perf_counter() - ready
        pipe.close()
    except OSError as error:
        raise failure(setup, encoding) from error
    except BaseException:
        encoding.process.kill()
        encoding.process.wait()
        raise
