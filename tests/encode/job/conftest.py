"""A work folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder, beside things of the user's that are not its own."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("mine")
    folder = tmp_path / "o.mkv.vscugan"
    folder.mkdir()
    return folder
