"""Certificates read, edited and verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vscugan.__main__ import main

FRAMES = 6
Certificate = dict[str, Any]


def certificate(folder: Path) -> Certificate:
    """The content of a result's certificate."""
    content: Certificate = json.loads((folder / "b.mkv.cugan.json").read_text(encoding="utf-8"))
    return content


def write(folder: Path, content: Certificate) -> None:
    """Put another certificate in its place."""
    (folder / "b.mkv.cugan.json").write_text(json.dumps(content), encoding="utf-8")


def report(folder: Path, capsys: pytest.CaptureFixture[str], code: int, *argv: str) -> dict[str, Any]:
    """What ``verify --json`` reports, and that it ends with this code."""
    capsys.readouterr()
    assert main(["verify", str(folder / "b.mkv"), "--seed", "1", "--frames", "2", "--json", *argv]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["is_right"] == (code == 0)
    return found
