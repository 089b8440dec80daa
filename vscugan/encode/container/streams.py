"""The streams of a file: what they are, and what they hold."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vscugan.encode.container.timeline import Span
from vscugan.encode.encoders.programs import find_ffmpeg
from vscugan.files import READ_BYTES, HashedReader

COVER = int(av.stream.Disposition.attached_pic)
#: the picture files that libav takes for covers: their endings and types, by its codecs
COVER_FILES = {"mjpeg": (".jpg", "image/jpeg"), "png": (".png", "image/png"), "gif": (".gif", "image/gif"),
               "tiff": (".tif", "image/tiff"), "bmp": (".bmp", "image/bmp")}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Track:
    """What describes a stream of a file."""

    index: int
    kind: str  #: audio, video, subtitle, attachment, data
    codec: str
    tags: dict[str, str]
    disposition: int

    @property
    def label(self) -> str:
        """For people: what it is and which one."""
        name = self.tags.get("filename") or self.tags.get("title") or self.tags.get("language")
        details = [text for text in (self.codec if self.codec != "unknown" else "", name) if text]
        return f"{self.kind} #{self.index}{f' ({", ".join(details)})' if details else ''}"


def codec_of(stream: Any) -> str:
    """libav's name of an opened stream's codec."""
    context = stream.codec_context
    return str(context.name) if context is not None else "unknown"


def tracks(path: Path) -> tuple[Track, ...]:
    """The streams of a file."""
    with av.open(str(path.resolve())) as container:
        return tuple(
            Track(index=s.index, kind=s.type, codec=codec_of(s), tags=dict(s.metadata), disposition=int(s.disposition))
            for s in container.streams
        )


def cover_content(path: Path, index: int) -> bytes:
    """The picture file in a cover's stream."""
    with av.open(str(path.resolve())) as container:
        return b"".join(bytes(packet) for packet in container.demux(container.streams[index]) if packet.size)


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a stream holds: the sha256 of all its packets' bytes or of the attached file, and when it begins, in s."""

    sha256: str
    first_s: Fraction | None


def input_options(span: Span | None) -> list[str]:
    """ffmpeg's options of an input of which a part is taken, which then begins at 0; by the file's own timestamps."""
    start = f"{round(span.start * 1_000_000)}us" if span else ""
    return ["-seek_timestamp", "1", "-itsoffset", f"-{start}", "-ss", start] if start else []


def output_options(span: Span | None) -> list[str]:
    """ffmpeg's options of the output, which leave out what stands before and after such a part."""
    return ["-copypriorss", "0", "-t", f"{round((span.stop - span.start) * 1_000_000)}us"] if span else []


def copied_sha256(path: Path, stream: int, scratch: Path, span: Span | None = None) -> str | None:
    """The sha256 of a stream's packets as ffmpeg copies them alone into ``scratch``, None where it can't.

    Of a transport stream it takes the heads off AAC packets, and writes lengths before NAL units.
    """
    command = [find_ffmpeg(), "-v", "error", "-nostdin", "-y", "-copyts", *input_options(span), "-i", f"file:{path}",
               "-map", f"0:{stream}", "-c", "copy", "-copy_unknown", *output_options(span), "-f", "matroska",
               f"file:{scratch}"]  # fmt: skip
    try:
        run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return None if run.returncode else contents(scratch)[0].sha256
    except av.error.FFmpegError:  # a part without packets
        return None
    finally:
        scratch.unlink(missing_ok=True)


class Demuxer:
    """The packets of all streams of an opened file, and what each stream holds once they have gone by."""

    def __init__(self, container: Any, span: Span | None = None) -> None:
        self._container, self._span = container, span
        self._hashes: dict[int, Any] = {}
        self._first: dict[int, Fraction] = {}
        for stream in container.streams:
            self._hashes[stream.index] = hashlib.sha256()
            if isinstance(stream, av.stream.AttachmentStream):
                self._hashes[stream.index].update(stream.data or b"")

    def packets(self) -> Iterator[Any]:
        """Each packet, in the file's order, and an empty one at the end of each stream."""
        timed = [stream for stream in self._container.streams if stream.type != "attachment"]
        for packet in self._container.demux(timed) if timed else ():
            if packet.size and self._is_inside(packet):
                self._hashes[packet.stream_index].update(bytes(packet))
                if packet.pts is not None and packet.time_base is not None:
                    begin = self._span.start if self._span else 0
                    self._first.setdefault(packet.stream_index, packet.pts * packet.time_base - begin)
            yield packet

    def _is_inside(self, packet: Any) -> bool:
        """Whether a packet begins in the span that is taken; one without a time does."""
        if self._span is None or packet.pts is None or packet.time_base is None:
            return True
        return bool(self._span.start <= packet.pts * packet.time_base < self._span.stop)

    def contents(self) -> dict[int, Content]:
        """What each stream holds."""
        return {
            index: Content(sha256=digest.hexdigest(), first_s=self._first.get(index))
            for index, digest in self._hashes.items()
        }


def contents(path: Path, span: Span | None = None) -> dict[int, Content]:
    """What each stream of a file holds, or of a part of it, which then begins at 0."""
    with av.open(str(path.resolve())) as container:
        demuxer = Demuxer(container, span)
        for _ in demuxer.packets():
            pass
    return demuxer.contents()


@contextmanager
def read_through(path: Path) -> Iterator[tuple[Any, HashedReader]]:
    """A file opened to be read through once by a ``Demuxer``, and the reader that knows its sha256 then."""
    with open(path.resolve(), "rb", buffering=0) as file:
        reader = HashedReader(file)
        with av.open(reader, buffer_size=READ_BYTES) as container:
            yield container, reader
