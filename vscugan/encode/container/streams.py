"""The containers: what stands in a source, and what an output can hold of it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vscugan.encode.encoders.programs import find_ffmpeg
from vscugan.errors import ArgumentError, PlanError
from vscugan.files import READ_BYTES, HashedReader

#: libav's muxer for each ending of an output's name
MUXERS = {".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4"}
COVER = int(av.stream.Disposition.attached_pic)
#: the picture files that libav takes for covers: their endings and types, by its codecs
COVER_FILES = {"mjpeg": (".jpg", "image/jpeg"), "png": (".png", "image/png"), "gif": (".gif", "image/gif"),
               "tiff": (".tif", "image/tiff"), "bmp": (".bmp", "image/bmp")}  # fmt: skip
#: statistics of the old video track, wrong for the new one (mkvmerge writes them)
STALE_TAGS = ("BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "ENCODER", "ENCODER_OPTIONS",
              "_STATISTICS_WRITING_APP", "_STATISTICS_WRITING_DATE_UTC", "_STATISTICS_TAGS", "SOURCE_ID")  # fmt: skip
#: what MP4 has a place for: tags of the file, and of a track
MP4_TAGS = {"title", "artist", "album_artist", "composer", "album", "date", "encoder", "comment", "genre", "copyright",
            "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords",
            "episode_sort", "season_number", "media_type", "hd_video", "compilation", "disc", "track", "creation_time",
            "major_brand", "minor_version", "compatible_brands"}  # fmt: skip
MP4_TRACK_TAGS = {"title", "language", "handler_name", "vendor_id", "creation_time"}


@dataclass(frozen=True, kw_only=True)
class Track:
    """A stream of a file, as it is told apart and described."""

    index: int
    kind: str  #: audio, video, subtitle, attachment, data
    codec: str
    tags: dict[str, str]
    disposition: int

    @property
    def label(self) -> str:
        """For people: what it is and which one."""
        name = self.tags.get("filename") or self.tags.get("title") or self.tags.get("language")
        known = [text for text in (self.codec if self.codec != "unknown" else "", name) if text]
        return f"{self.kind} #{self.index}{f' ({", ".join(known)})' if known else ''}"


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return str(context.name) if context is not None else "unknown"


def tracks(path: Path) -> tuple[Track, ...]:
    """The streams of a file."""
    with av.open(str(path.resolve())) as container:
        return tuple(
            Track(index=s.index, kind=s.type, codec=_codec(s), tags=dict(s.metadata), disposition=int(s.disposition))
            for s in container.streams
        )


def muxer(output: Path) -> str:
    """The muxer for an output's name.

    Raises: ArgumentError.
    """
    try:
        return MUXERS[output.suffix.lower()]
    except KeyError:
        raise ArgumentError(
            f"output must end in {', '.join(MUXERS)}, got {output.name!r}; Matroska (.mkv) holds everything"
        ) from None


def _is_supported(stream: Any, format: str) -> bool:
    """Whether the muxer takes a stream, by writing a header into nothing."""
    if stream.type == "attachment":
        return format == "matroska" and "mimetype" in {name.lower() for name in stream.metadata}
    if stream.type == "data":
        return False
    if format == "matroska" and int(stream.disposition) & COVER:  # it becomes an attached file
        return _codec(stream) in COVER_FILES
    try:
        with av.open(os.devnull, "w", format=format) as trial:
            copy = trial.add_stream_from_template(stream, opaque=True)
            copy.metadata.update(stream.metadata)
            trial.start_encoding()
    except (av.FFmpegError, ValueError, OSError):
        return False
    return True


def refuse_unsupported_video(chunk: Path, format: str) -> None:
    """Raise PlanError where an output can't hold what the encoder makes, as its first chunk tells."""
    with av.open(str(chunk)) as opened:
        stream = opened.streams.video[0]
        if not _is_supported(stream, format):
            raise PlanError(
                f"output must hold the encoder's video, got {format}, which can't hold {_codec(stream)}; write a .mkv, "
                "or use another --encoder"
            )


def unsupported_streams(path: Path, video: int, format: str) -> tuple[Track, ...]:
    """The streams of a source, but for its video, that an output can't hold as they are.

    The text track that an MP4 carries its chapters in is not counted: chapters are kept as chapters.
    """
    left = []
    described = {track.index: track for track in tracks(path)}
    with av.open(str(path.resolve())) as container:
        chapters = len(container.chapters())
        for stream in container.streams:
            is_text = stream.type == "data" and getattr(stream, "name", None) == "bin_data"
            is_chapters = bool(chapters) and is_text and stream.frames == chapters
            if stream.index != video and not is_chapters and not _is_supported(stream, format):
                left.append(described[stream.index])
    return tuple(left)


def unsupported_tags(path: Path, left: tuple[Track, ...], format: str) -> tuple[str, ...]:
    """The tags of a source that an output has no place for, in words; Matroska has one for each."""
    if format != "mp4":
        return ()
    gone = {track.index for track in left}
    with av.open(str(path.resolve())) as container:
        lost = [f"tag {name}" for name in container.metadata if name.lower() not in MP4_TAGS]
    for track in tracks(path):
        for name in track.tags if track.index not in gone and track.kind != "data" else ():
            if name.lower() not in MP4_TRACK_TAGS and not is_stale(name) and not track.disposition & COVER:
                lost.append(f"tag {name} of {track.label}")
    return tuple(lost)


def is_stale(tag: str) -> bool:
    """Whether a track's tag tells of its old coding only; mkvmerge puts a language behind the name."""
    return tag.upper().partition("-")[0] in STALE_TAGS


def refuse_unsupported(left: Sequence[str], output: Path, leave_out: bool) -> None:
    """Raise PlanError where something would be lost and that was not asked for."""
    if left and not leave_out:
        way = "say" if output.suffix.lower() == ".mkv" else "write a .mkv, or say"
        raise PlanError(
            f"output must hold everything of the source, got {output.suffix}, which can't hold {', '.join(left)}; "
            f"{way} --leave-out to lose it"
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


def copied_sha256(path: Path, stream: int, scratch: Path) -> str | None:
    """The sha256 of a stream's packets as ffmpeg copies them alone into ``scratch``, None where it can't.

    Of a transport stream it takes the heads off AAC packets, and writes lengths before NAL units.
    """
    command = [find_ffmpeg(), "-v", "error", "-nostdin", "-y", "-i", f"file:{path}", "-map", f"0:{stream}", "-c",
               "copy", "-copy_unknown", "-f", "matroska", f"file:{scratch}"]  # fmt: skip
    try:
        run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return None if run.returncode else contents(scratch)[0].sha256
    finally:
        scratch.unlink(missing_ok=True)


class Demuxer:
    """The packets of all streams of an opened file, and what each stream holds once they have gone by."""

    def __init__(self, container: Any) -> None:
        self._container = container
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
            if packet.size:
                self._hashes[packet.stream_index].update(bytes(packet))
                if packet.pts is not None and packet.time_base is not None:
                    self._first.setdefault(packet.stream_index, packet.pts * packet.time_base)
            yield packet

    def contents(self) -> dict[int, Content]:
        """What each stream holds."""
        return {
            index: Content(sha256=digest.hexdigest(), first_s=self._first.get(index))
            for index, digest in self._hashes.items()
        }


def contents(path: Path) -> dict[int, Content]:
    """What each stream of a file holds."""
    with av.open(str(path.resolve())) as container:
        demuxer = Demuxer(container)
        for _ in demuxer.packets():
            pass
    return demuxer.contents()


@contextmanager
def read_through(path: Path) -> Iterator[tuple[Any, HashedReader]]:
    """A file opened to be read through once by a ``Demuxer``, and what tells its sha256 then."""
    with open(path.resolve(), "rb", buffering=0) as file:
        reader = HashedReader(file)
        with av.open(reader, buffer_size=READ_BYTES) as container:
            yield container, reader
