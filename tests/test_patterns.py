"""Names that are patterns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vscugan.patterns import fixed_part, matches


def test_a_drive_that_is_not_there_matches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows not even the first folder of a path need be there."""
    monkeypatch.setattr(os.path, "isdir", lambda path: False)
    assert fixed_part("/season/*.mkv") == Path("/")
    assert matches("/season/*.mkv", [".mkv"]) == []
    assert matches("/season/01.mkv", [".mkv"]) == []
