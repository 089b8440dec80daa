"""Files that are written whole or not at all, and the errors of those that can't be."""

from __future__ import annotations

from pathlib import Path

import pytest

from vscugan import files
from vscugan.errors import DiskError
from vscugan.files import is_full, sha256, write_whole


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (b"old", b"abc"):
        write_whole(path, content)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4's example


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DiskError) as error:
        write_whole(tmp_path / "missing" / "a.mkv", b"")
    assert str(error.value) == (
        "a.mkv must be writable, got No such file or directory; free some space or allow writing in the output's "
        "folder, then run the same command again"
    )


def test_a_full_disk_is_recognised_by_the_message_or_the_free_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_full(tmp_path, "av_interleaved_write_frame(): No space left on device")
    assert not is_full(tmp_path, "Conversion failed!")
    monkeypatch.setattr(files, "FULL_BYTES", 1 << 62)
    assert is_full(tmp_path, "Conversion failed!")
