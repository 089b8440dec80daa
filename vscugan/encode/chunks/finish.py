"""Finished chunks: checked, made durable, and found again by the next run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.chunks.chunk_check import check_chunk
from vscugan.encode.chunks.encoding import ChunkContext, ChunkSetup, Encoding, failure
from vscugan.encode.container.unsupported import refuse_unsupported_video
from vscugan.encode.job.journal import Entry
from vscugan.errors import EncoderError
from vscugan.files import disk_error, sha256, sync_file, sync_folder


def check_encoded(setup: ChunkSetup, encoding: Encoding) -> Entry:
    """Wait for the encoder and check what it wrote; returns the chunk's entry for the journal.

    Raises: EncoderError, DiskError.
    """
    if encoding.process.wait():
        raise failure(setup, encoding)
    chunk, temp = encoding.chunk, encoding.temp
    checked = check_chunk(temp, chunk, setup.size)
    encoding.log.unlink(missing_ok=True)
    return {
        "kind": "chunk", "chunk": chunk.number, "start": chunk.start, "stop": chunk.stop, "file": temp.name,
        "bytes": temp.stat().st_size, "sha256": sha256(temp), "codec": checked.codec,
        "header_sha256": checked.header_sha256, "order": list(checked.order), "frames": encoding.hashes,
        "sketches": encoding.sketches, "hardware": setup.hardware,
        "tile": encoding.tiles.pop() if len(encoding.tiles) == 1 else None,
        "seconds": round(time.monotonic() - encoding.started, 3),
    }  # fmt: skip


def keep_chunk(context: ChunkContext, entry: Entry) -> None:
    """Make a checked chunk in the temp folder durable: file, journal, then the final name.

    The journal decides: a crash between it and the renaming is mended by ``recover``.
    Raises: EncoderError, DiskError, ConflictError.
    """
    temp = context.temp_folder / entry["file"]
    try:
        sync_file(temp)
        sync_folder(temp.parent)
        with context.committing:
            _check_header(context, entry, temp)
            context.journal.append(entry)
        temp.replace(context.chunk_folder / temp.name)
        sync_folder(context.chunk_folder)
    except OSError as error:
        raise disk_error(temp, error) from error
    frames = entry["stop"] - entry["start"]
    context.emit("chunk", chunk=entry["chunk"], frames=frames, bytes=entry["bytes"], seconds=entry["seconds"])


def finish_chunk(context: ChunkContext, encoding: Encoding) -> Entry:
    """Both: what was encoded is checked and kept; returns its entry."""
    entry = check_encoded(context, encoding)
    keep_chunk(context, entry)
    return entry


def _check_header(context: ChunkContext, entry: Entry, temp: Path) -> None:
    """Refuse a chunk whose stream header is not that of the first one, or a first one that the output can't hold.

    Raises: EncoderError, ConflictError.
    """
    for first in context.journal.of_kind("chunk")[:1]:
        if first["header_sha256"] != entry["header_sha256"]:
            raise EncoderError(
                f"chunk {entry['chunk']} must have the stream header of chunk {first['chunk']}, got another; "
                "leave out encoder arguments that depend on the content or the length"
            )
        return
    refuse_unsupported_video(temp, context.muxer)


def recover(context: ChunkContext, chunks: Sequence[Chunk]) -> tuple[dict[int, Entry], list[int]]:
    """Find the chunks that the runs before have finished: by number, and the numbers of those no longer whole.

    Files that the journal does not name are removed.
    """
    whole: dict[int, Entry] = {}
    for entry in context.journal.of_kind("chunk"):
        chunk = Chunk(number=entry["chunk"], start=entry["start"], stop=entry["stop"])
        if chunk not in chunks or entry["file"] != context.chunk_name(chunk):
            continue
        temp, path = context.temp_folder / entry["file"], context.chunk_folder / entry["file"]
        if not path.exists() and temp.exists():
            temp.replace(path)
            sync_folder(path.parent)
        try:
            is_whole = path.stat().st_size == entry["bytes"] and sha256(path) == entry["sha256"]
        except OSError:
            is_whole = False
        if is_whole:
            whole[entry["chunk"]] = entry
    lost = sorted({entry["chunk"] for entry in context.journal.of_kind("chunk")} - whole.keys())
    named = {entry["file"] for entry in whole.values()}
    for path in [*context.temp_folder.iterdir(), *(p for p in context.chunk_folder.iterdir() if p.name not in named)]:
        path.unlink(missing_ok=True)  # macOS removes ._x with x, where it keeps such files
    return whole, lost
