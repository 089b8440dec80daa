"""The cache: whole files or none, and plans that are taken up again."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from vscugan import cache
from vscugan.cache import cache_folder, read_cached, write_cached
from vscugan.tiling.plan import Plan, Waiting
from vscugan.tiling.remembered import recall, remember

PLAN = Plan(tile=(64, 96), waiting=Waiting.LEAN)


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


def test_a_plan_is_recalled_while_memory_is_as_short() -> None:
    remember("here", PLAN, 1000)
    assert recall("here", 1000) == PLAN
    assert recall("here", 1250) == PLAN
    assert recall("here", 1251) is None
    assert recall("there", 1000) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"situation": "here", "tile": [1], "free_bytes": 9}'])
def test_a_broken_plan_is_none(content: bytes) -> None:
    remember("here", PLAN, 1000)
    (file,) = (cache_folder() / "plans").iterdir()
    file.write_bytes(content)
    assert recall("here", 1) is None
