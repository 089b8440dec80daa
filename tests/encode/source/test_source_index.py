"""bestsource's index in the cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import media
from support.encode_runs import refused


def test_a_cache_that_cannot_be_written_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media.plain(folder / "a.mkv", frames=3)
    cache = folder / "cache"
    cache.write_text("a file")
    monkeypatch.setenv("VSCUGAN_CACHE", str(cache))
    way_out = "free some space or allow writing there, or name another one by VSCUGAN_CACHE"
    refused(folder, 7, f"cache folder must be writable, got '{cache}': Not a directory; {way_out}",
            "a.mkv", "-o", "o.mkv")  # fmt: skip
    cache.unlink()
    (cache / "index").mkdir(parents=True)
    (cache / "CACHEDIR.TAG").write_text("")
    (cache / "index" / folder.parts[1]).write_text("in the place of bestsource's folder")
    refused(folder, 7, f"cache folder must be writable, got '{cache}': bestsource could not write its index; {way_out}",
            "a.mkv", "-o", "o.mkv")  # fmt: skip
