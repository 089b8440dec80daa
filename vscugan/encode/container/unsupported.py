"""What an output can't hold of a source, and the refusal to lose it unasked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av

from vscugan.encode.container.streams import COVER, COVER_FILES, Track, codec_of
from vscugan.errors import ConflictError

#: statistics of the old video track, wrong for the new one (mkvmerge writes them)
STALE_TAGS = ("BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "ENCODER", "ENCODER_OPTIONS",
              "_STATISTICS_WRITING_APP", "_STATISTICS_WRITING_DATE_UTC", "_STATISTICS_TAGS", "SOURCE_ID")  # fmt: skip
#: what MP4 has a place for: tags of the file, and of a track
MP4_TAGS = {"title", "artist", "album_artist", "composer", "album", "date", "encoder", "comment", "genre", "copyright",
            "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords",
            "episode_sort", "season_number", "media_type", "hd_video", "compilation", "disc", "track", "creation_time",
            "major_brand", "minor_version", "compatible_brands"}  # fmt: skip
MP4_TRACK_TAGS = {"title", "language", "handler_name", "vendor_id", "creation_time"}


def _is_supported(stream: Any, muxer: str) -> bool:
    """Whether the muxer takes a stream, by writing a header into nothing."""
    if stream.type == "attachment":
        return muxer == "matroska" and "mimetype" in {name.lower() for name in stream.metadata}
    if stream.type == "data":
        return False
    if muxer == "matroska" and int(stream.disposition) & COVER:  # it becomes an attached file
        return codec_of(stream) in COVER_FILES
    try:
        with av.open(os.devnull, "w", format=muxer) as trial:
            copy = trial.add_stream_from_template(stream, opaque=True)
            copy.metadata.update(stream.metadata)
            trial.start_encoding()
    except (av.FFmpegError, ValueError, OSError):
        return False
    return True


def refuse_unsupported_video(chunk: Path, muxer: str) -> None:
    """Raise ConflictError where an output can't hold what the encoder makes, as its first chunk shows."""
    with av.open(str(chunk)) as opened:
        stream = opened.streams.video[0]
        if not _is_supported(stream, muxer):
            raise ConflictError(
                f"output must hold the encoder's video, got {muxer}, which can't hold {codec_of(stream)}; write a "
                ".mkv, or use another --encoder"
            )


def unsupported_streams(path: Path, found: Sequence[Track], video: int, muxer: str) -> tuple[Track, ...]:
    """The streams of a source, but for its video, that an output can't hold as they are; ``found`` are all of them.

    The text track that an MP4 carries its chapters in is not counted: chapters are kept as chapters.
    """
    unsupported = []
    described = {track.index: track for track in found}
    with av.open(str(path.resolve())) as container:
        chapters = len(container.chapters())
        for stream in container.streams:
            is_text = stream.type == "data" and getattr(stream, "name", None) == "bin_data"
            is_chapters = bool(chapters) and is_text and stream.frames == chapters
            if stream.index != video and not is_chapters and not _is_supported(stream, muxer):
                unsupported.append(described[stream.index])
    return tuple(unsupported)


def unsupported_tags(path: Path, written: Sequence[Track], muxer: str) -> tuple[str, ...]:
    """The tags of a source that an output has no place for, for people; Matroska has one for each.

    ``written``: the source's streams that the output holds.
    """
    if muxer != "mp4":
        return ()
    with av.open(str(path.resolve())) as container:
        tags = [f"tag {name}" for name in container.metadata if name.lower() not in MP4_TAGS]
    for track in written:
        for name in track.tags:
            if name.lower() not in MP4_TRACK_TAGS and not is_stale(name) and not track.disposition & COVER:
                tags.append(f"tag {name} of {track.label}")
    return tuple(tags)


def is_stale(tag: str) -> bool:
    """Whether a track's tag describes its old coding only; mkvmerge puts a language behind the name."""
    return tag.upper().partition("-")[0] in STALE_TAGS


def refuse_unsupported(dropped: Sequence[str], output: Path, leave_out: bool) -> None:
    """Raise ConflictError where something would be dropped and ``leave_out`` does not allow it."""
    if dropped and not leave_out:
        way = "say" if output.suffix.lower() == ".mkv" else "write a .mkv, or say"
        raise ConflictError(
            f"output must hold everything of the source, got {output.suffix}, which can't hold {', '.join(dropped)}; "
            f"{way} --leave-out to lose it"
        )
