"""A sketch of a frame: a few numbers from which two devices' frames can be compared without having both.

Sums of the samples with random signs (an AMS or count sketch: Alon, Matias, Szegedy 1996; Charikar, Chen,
Farach-Colton 2002). The squared difference of two sketches estimates that of the frames, whatever differs in them:
by 8 sums within about 2 dB. So a hash shows whether the bits are the same, and the sketch how near they are.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

SUMS = 8
#: samples that are added up at once, for speed alone
ROW = 512 * SUMS
#: codes of 8 bit; a sum of centred samples over the root of their number is far below 2**15 steps, and the rounding
#: counts for 90 dB
STEP = 0.02
#: hex digits of a sketch
DIGITS = 4 * SUMS
#: dB of two sketches that are equal, or nearer than the rounding resolves
RESOLVED_PSNR = 90.0


@lru_cache(maxsize=4)
def _signs(count: int, plane: int) -> NDArray[np.int8]:
    """So many random signs of a plane, the same on every machine and for ever."""
    data = hashlib.shake_128(b"vscugan sketch %d" % plane).digest(-(-count // 8))
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count).astype(np.int8) * 2 - 1


def sketch(frame: vs.VideoFrame) -> str:
    """The sketch of a frame of integer samples, as hex."""
    sums = np.zeros(SUMS, np.int64)
    bits = frame.format.bits_per_sample
    pixels = 0
    for number in range(frame.format.num_planes):
        samples = np.asarray(frame[number]).reshape(-1)
        signed = np.zeros(-(-samples.size // ROW) * ROW, np.int32)
        np.subtract(samples, 1 << bits - 1, out=signed[: samples.size], dtype=np.int32)
        signed[: samples.size] *= _signs(samples.size, number)
        sums += signed.reshape(-1, ROW).sum(axis=0, dtype=np.int64).reshape(-1, SUMS).sum(axis=0)
        pixels = pixels or samples.size
    steps = np.rint(sums / np.sqrt(pixels / SUMS) / (1 << bits - 8) / STEP)
    return bytes(np.clip(steps, -(1 << 15), (1 << 15) - 1).astype(">i2")).hex()


def sketch_psnr(a: str, b: str) -> float:
    """About how near the frames of two sketches are, in dB for a full range of 8 bit.

    Raises: ValueError where one is none.
    """
    first, second = (np.frombuffer(bytes.fromhex(each), ">i2").astype(np.float64) * STEP for each in (a, b))
    error = float(np.mean((first - second) ** 2))
    return RESOLVED_PSNR if error == 0 else min(RESOLVED_PSNR, float(10 * np.log10(255**2 / error)))
