"""Finished chunks are compared with each other."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import vapoursynth as vs
from support.encoders import program

from vscugan.encode.chunks import finish
from vscugan.encode.chunks.children import Children
from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.chunks.chunk_check import Checked
from vscugan.encode.chunks.encoding import ChunkContext, Encoding
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.encode.job.journal import Entry, Journal
from vscugan.errors import EncoderError


def test_chunks_that_end_at_once_are_compared(
    tmp_path: Path, hdr: StreamFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looks at the journal while the other has not written yet, but for the lock."""
    both = threading.Barrier(2)
    read = Journal.of_kind

    def slow_read(journal: Journal, kind: str) -> list[Entry]:
        entries = read(journal, kind)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)
        return entries

    def checked(path: Path, chunk: Chunk, size: tuple[int, int]) -> Checked:
        return Checked(order=(0,), codec="h264", header_sha256=f"{chunk.number}")

    monkeypatch.setattr(finish, "check_chunk", checked)
    monkeypatch.setattr(finish, "refuse_unsupported_video", lambda path, muxer: None)
    monkeypatch.setattr(Journal, "of_kind", slow_read)
    for name in ("chunks", "temp"):
        (tmp_path / name).mkdir()
    journal = Journal(tmp_path / "journal.jsonl")
    context = ChunkContext(
        clip=vs.core.std.BlankClip(), stream_format=hdr, program=program("x264", True), arguments=(), muxer="matroska",
        folder=tmp_path, journal=journal, children=Children(), emit=lambda event, /, **fields: None,
        computed=(0, vs.core.std.BlankClip().get_frame(0)), hardware={},
    )  # fmt: skip

    def finished(number: int) -> str:
        temp = context.temp_folder / f"{number:06d}.mkv"
        temp.write_bytes(b"coded")
        with subprocess.Popen(["true"]) as process:
            encoding = Encoding(chunk=Chunk(number=number, start=number, stop=number + 1), process=process,
                                temp=temp, log=temp.with_suffix(".log"), started=0)  # fmt: skip
        try:
            finish.finish_chunk(context, encoding)
        except EncoderError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        messages = sorted(pool.map(finished, (0, 1)))
    first = journal.entries[0]["chunk"]
    assert messages == ["", f"chunk {1 - first} must have the stream header of chunk {first}, got another; leave out "
                            "encoder arguments that depend on the content or the length"]  # fmt: skip
    assert len(journal.entries) == 1
    journal.close()
