"""``vscugan cache``."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import media

from vscugan.__main__ import main

FAST = ("--device", "cpu", "--backend", "torch")


def test_cache_is_shown_and_cleared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    monkeypatch.setenv("VSCUGAN_CACHE", str(folder))
    assert main(["cache"]) == 0
    assert "nothing in it" in capsys.readouterr().out
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    assert main(["cache", "clear"]) == 2  # somebody's own folder, named by mistake
    assert (folder / "mine.txt").exists()
    (folder / "mine.txt").unlink()
    media.plain(tmp_path / "a.mkv", frames=1)
    assert main(["preview", str(tmp_path / "a.mkv"), "--frame", "0", "-o", str(tmp_path / "p"), *FAST]) == 0
    assert (folder / "index").is_dir()
    assert main(["cache", "clear"]) == 0
    assert not list(folder.iterdir())
