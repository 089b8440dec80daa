"""A finished chunk: decoded once, to know that it is whole and in which order its frames are coded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import av

from vscugan.encode.chunks.chunk import Chunk
from vscugan.errors import EncoderError


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What decoding showed: for each frame in display order its packet, and the stream's header."""

    order: tuple[int, ...]
    codec: str
    header_sha256: str


def check_chunk(path: Path, chunk: Chunk, size: tuple[int, int]) -> Checked:
    """Decode a chunk's file and compare it with what its encoder was given; ``size`` is (width, height).

    Each packet is numbered before it is decoded and each frame names its packet, so the display order is the
    decoder's own, also for streams without timestamps. Raises: EncoderError.
    """

    def wrong(fact: str) -> EncoderError:
        return EncoderError(
            f"chunk {chunk.number} must hold {chunk.frames} frames of {size[0]}x{size[1]} px, got {fact}; "
            "check the encoder's arguments, then run the same command again"
        )

    order: list[int] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise wrong("a file without video")
            stream = container.streams.video[0]
            context = stream.codec_context
            context.thread_type = "AUTO"
            header, codec = hashlib.sha256(context.extradata or b"").hexdigest(), context.name
            packets = 0
            for packet in container.demux(stream):
                if packet.size:
                    packet.pts = packet.dts = packets
                    packets += 1
                for frame in context.decode(packet if packet.size else None):
                    if frame.is_corrupt or (frame.width, frame.height) != size:
                        raise wrong(f"frame {len(order)} damaged or of {frame.width}x{frame.height} px")
                    order.append(-1 if frame.pts is None else frame.pts)
                if not packet.size:
                    break
    except (av.FFmpegError, OSError) as error:
        raise wrong(f"a file that does not decode: {error.strerror or error}") from error
    if len(order) != chunk.frames or packets != chunk.frames:
        raise wrong(f"{len(order)} frames in {packets} packets")
    if sorted(order) != list(range(packets)):
        raise wrong("frames that do not name their packets")
    return Checked(order=tuple(order), codec=str(codec), header_sha256=header)
