"""How long an encode takes and how large its video becomes, from a few frames here and there."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import av

from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.chunks.encoding import ChunkSetup, failure, start_encoding
from vscugan.encode.chunks.pipeline import computed_ahead, feed

SAMPLES, SAMPLE_FRAMES = 5, 12
#: how far the mean of so many samples may be from that of all, in standard deviations of it: 95 % (Student's t)
SPREAD = {2: 12.7, 3: 4.30, 4: 3.18, 5: 2.78}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What some frames took: seconds each, bytes of the first and of each other."""

    seconds: float
    key_bytes: int
    other_bytes: float


def sample_chunks(frames: int, grid: int) -> list[Chunk]:
    """Parts of a clip of so many frames, evenly over it, that begin on multiples of ``grid``."""
    starts = sorted({round(frames * (k + 0.5) / SAMPLES) // grid * grid for k in range(SAMPLES)})
    return [Chunk(number=n, start=s, stop=min(s + SAMPLE_FRAMES, frames)) for n, s in enumerate(starts)]


def take_sample(setup: ChunkSetup, chunk: Chunk) -> Sample:
    """Compute and encode some frames.

    Raises: CuganError.
    """
    encoding = start_encoding(setup, chunk)
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as hasher:
        frames = computed_ahead(setup.clip[chunk.start : chunk.stop], setup.stream_format)
        feed(setup, encoding, frames, hasher, lambda frame: None, defaultdict(float))
    seconds = (time.monotonic() - begun) / chunk.frames
    if encoding.process.wait():
        raise failure(setup, encoding)
    with av.open(str(encoding.temp)) as file:
        sizes = [packet.size for packet in file.demux(video=0) if packet.size]
    encoding.temp.unlink()
    encoding.log.unlink(missing_ok=True)
    return Sample(seconds=seconds, key_bytes=sizes[0], other_bytes=mean(sizes[1:] or sizes))


def estimate(samples: Sequence[Sample], frames: int, chunk_frames: int) -> dict[str, Any]:
    """Seconds and bytes for so many frames, as mean, low and high; each chunk begins with a key frame."""
    keys = math.ceil(frames / chunk_frames)
    seconds = [frames * sample.seconds for sample in samples]
    sizes = [keys * sample.key_bytes + (frames - keys) * sample.other_bytes for sample in samples]
    return {
        "frames": frames, **_spread("seconds", seconds), **_spread("bytes", sizes),
    }  # fmt: skip


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    middle = mean(values)
    around = SPREAD[len(values)] * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else middle
    return {name: round(middle, 1), f"{name}_low": round(max(0.0, middle - around), 1),
            f"{name}_high": round(middle + around, 1)}  # fmt: skip
