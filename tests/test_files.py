"""Files are hashed while they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from vscugan.files import HashedReader, sha256


@pytest.mark.parametrize("left_out", [5, 5000])
@pytest.mark.parametrize("reads", [[(0, 1000)], [(0, 10), (900, 100), (10, 500)], [(500, 10)], [(0, 9), (20, 9)], []])
def test_a_hash_comes_along_with_any_way_of_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[tuple[int, int]], left_out: int
) -> None:
    monkeypatch.setattr("vscugan.files.LEFT_OUT_BYTES", left_out)
    path = tmp_path / "a"
    path.write_bytes(bytes(range(250)) * 4)
    with open(path, "rb", buffering=0) as file:
        reader = HashedReader(file)
        for at, size in reads:
            assert reader.seek(at) == reader.tell() == at
            assert reader.read(size) == path.read_bytes()[at : at + size]
        assert reader.sha256() == sha256(path)
