"""Files are written whole or not at all, and hashed while they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from vscugan import files
from vscugan.errors import DiskError
from vscugan.files import HashedReader, is_full, nearest_folder, sha256, write_whole


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


def test_the_nearest_folder_is_found_also_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nearest_folder(tmp_path) == tmp_path
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    monkeypatch.setattr(Path, "exists", lambda path: False)  # of a drive of Windows not even the root
    assert nearest_folder(tmp_path / "a") == Path("/")


def test_a_full_disk_is_recognised_by_the_message_or_the_free_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_full(tmp_path, "av_interleaved_write_frame(): No space left on device")
    assert not is_full(tmp_path, "Conversion failed!")
    monkeypatch.setattr(files, "FULL_BYTES", 1 << 62)
    assert is_full(tmp_path, "Conversion failed!")


@pytest.mark.parametrize("skipped", [5, 5000])
@pytest.mark.parametrize("reads", [[(0, 1000)], [(0, 10), (900, 100), (10, 500)], [(500, 10)], [(0, 9), (20, 9)], []])
def test_a_hash_comes_along_with_any_way_of_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[tuple[int, int]], skipped: int
) -> None:
    monkeypatch.setattr("vscugan.files.SKIPPED_BYTES", skipped)
    path = tmp_path / "a"
    path.write_bytes(bytes(range(250)) * 4)
    with open(path, "rb", buffering=0) as file:
        reader = HashedReader(file)
        for at, size in reads:
            assert reader.seek(at) == reader.tell() == at
            assert reader.read(size) == path.read_bytes()[at : at + size]
        assert reader.sha256() == sha256(path)
