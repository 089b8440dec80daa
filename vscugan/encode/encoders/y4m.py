"""Frames as y4m, the stream that every encoder reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import vapoursynth as vs

from vscugan.encode.encoders.stream_format import SUBSAMPLINGS, StreamFormat

FRAME = b"FRAME\n"
#: 64 bits of a frame's hash: enough to tell frames of one film apart, and short in the certificate
HASH_BYTES = 8
#: MPEG-2's chroma siting is left, JPEG's the centre, DV-PAL's the top left corner; y4m names them for 8 bit only
SITINGS = {0: "mpeg2", 1: "jpeg", 2: "paldv"}


def header(stream_format: StreamFormat) -> bytes:
    """The line that a stream begins with."""
    if stream_format.is_gray:
        kind = "mono" if stream_format.bits == 8 else f"mono{stream_format.bits}"
    elif stream_format.bits > 8:
        kind = f"{SUBSAMPLINGS[stream_format.subsampling]}p{stream_format.bits}"
    else:
        kind = SUBSAMPLINGS[stream_format.subsampling]
        if stream_format.chroma_location is not None:
            kind += SITINGS.get(stream_format.chroma_location, "")
    rate, sar = stream_format.rate, stream_format.sar
    return (
        f"YUV4MPEG2 W{stream_format.width} H{stream_format.height} F{rate.numerator}:{rate.denominator} Ip "
        f"A{sar.numerator}:{sar.denominator} C{kind} XCOLORRANGE={'FULL' if stream_format.full_range else 'LIMITED'}\n"
    ).encode()


def planes(frame: vs.VideoFrame) -> Iterator[memoryview]:
    """A frame's samples without the padding of its rows, plane by plane; valid while the frame is open."""
    for index in range(frame.format.num_planes):
        yield np.ascontiguousarray(np.asarray(frame[index])).reshape(-1).view(np.uint8).data


def frame_hash(frame: vs.VideoFrame) -> str:
    """A short hash of a frame's samples, the same on every machine."""
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    for plane in planes(frame):
        digest.update(plane)
    return digest.hexdigest()
