"""The cache: whole files or none, in a folder that nobody else can write to."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from vscugan import cache
from vscugan.cache import cache_folder, read_cached, write_cached


def test_writers_beside_each_other_leave_one_whole_file() -> None:
    contents = [bytes([k]) * 100_000 for k in range(8)]
    threads = [threading.Thread(target=write_cached, args=("a/b", content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_cached("a/b") in contents
    assert [path.name for path in (cache_folder() / "a").iterdir()] == ["b"]
    assert read_cached("a/none") is None


def test_a_cache_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("VSCUGAN_CACHE", str(tmp_path / "file"))
    write_cached("a", b"1")
    assert read_cached("a") is None
    assert caplog.messages[0].startswith("a can't be written into the cache: ")


@pytest.mark.parametrize("planted", [None, "a folder of others", "a link"])
def test_a_user_without_a_home_has_a_cache(
    planted: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("VSCUGAN_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    own = tmp_path / f"vscugan-{os.getuid()}"
    if planted == "a link":
        own.symlink_to(tmp_path)
    elif planted:
        own.mkdir()
        own.chmod(0o777)
    cache._temporary_folder.cache_clear()
    try:
        write_cached("a/b", b"1")
        assert read_cached("a/b") == b"1"
        folder = cache_folder()
    finally:
        cache._temporary_folder.cache_clear()
    assert (folder == own) == (planted is None)
    assert folder.stat().st_mode & 0o077 == 0  # nobody else can put something into it
    assert caplog.messages == [
        f"the user has no home folder, so the cache is in {folder}; name another place by VSCUGAN_CACHE"
    ]
