"""Headers of Matroska files are read, damaged and crafted ones too."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import container_files, matroska_files
from support.encode_runs import encode_resized

from vscugan.encode.container import ebml
from vscugan.encode.container import matroska_ids as ids
from vscugan.encode.container.matroska_header import read_header


def test_parts_behind_a_damaged_place_are_kept(tmp_path: Path) -> None:
    """As libav reaches them: by the seek head."""
    source = matroska_files.matroska_with_all(tmp_path)
    parts = (ids.INFO, ids.TRACKS, ids.ATTACHMENTS, ids.CLUSTER, 0, ids.CHAPTERS, ids.TAGS)
    damaged = matroska_files.rebuilt(source, tmp_path / "damaged.mkv", parts, hole=64)
    encode_resized(damaged, tmp_path / "out.mkv", "ffv1")
    before, after = read_header(damaged), read_header(tmp_path / "out.mkv")
    assert before
    assert after
    assert before.parts[ids.CHAPTERS]
    assert after.parts[ids.CHAPTERS] == before.parts[ids.CHAPTERS]
    assert b"of the font" in after.parts[ids.TAGS]


def test_a_seek_head_cannot_make_us_read_what_is_not_there(tmp_path: Path) -> None:
    """Neither what a part says of its size, nor where it is said to be, is believed beyond the file's end."""
    source, parts = container_files.chapters(tmp_path), (ids.INFO, ids.TRACKS, ids.CHAPTERS, ids.CLUSTER, 0,
                                               ids.TAGS)  # fmt: skip
    path = matroska_files.rebuilt(source, tmp_path / "crafted.mkv", parts, hole=64)
    whole = path.read_bytes()
    header = read_header(path)
    assert header
    tags = ebml.encode(ids.TAGS, header.parts[ids.TAGS])
    assert whole.endswith(tags)
    id, far = tags[:4], (1 << 46 | 1 << 56).to_bytes(8)
    path.write_bytes(whole[: -len(tags)] + id + far + tags[-64:])
    with pytest.raises(ValueError, match=r"^a part that ends behind the file's end$"):
        read_header(path)
    with open(path, "r+b") as file:  # so large and there, without taking room on the disk
        file.seek(len(whole) - len(tags) + 4)
        file.write((1 << 31 | 1 << 56).to_bytes(8))
        file.truncate(1 << 32)
    with pytest.raises(ValueError, match=r"^a header of more than 1024 MiB$"):
        read_header(path)
    place = whole.index(ebml.encode(ids.SEEK_ID, id)) + 7
    for position in ((1 << 63).to_bytes(8), b"\xff" * 8):
        path.write_bytes(whole[: place + 3] + position + whole[place + 11 :])
        header = read_header(path)
        assert header
        assert not header.parts[ids.TAGS]


def test_what_is_attached_is_not_held_in_memory(tmp_path: Path) -> None:
    header = read_header(container_files.fonts(tmp_path))
    assert header
    assert len(header.entries) == 3
    assert len(header.parts[ids.ATTACHMENTS]) < 200


@given(data=st.binary(max_size=200))
def test_a_header_of_anything_is_whole_or_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "anything.mkv"
    head, entry = ebml.encode(ids.EBML, b""), ebml.encode(ids.CODEC_ID, b"x") + b"\x83\x81\x01"
    tracks = ebml.encode(ids.TRACKS, ebml.encode(ids.TRACK, entry))
    path.write_bytes(head + ebml.encode(ids.SEGMENT, tracks + ebml.encode(ids.CHAPTERS, data) + data))
    try:
        header = read_header(path)
    except ValueError:
        return
    assert header
    assert header.parts[ids.CHAPTERS] == data
