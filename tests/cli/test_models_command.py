"""``vscugan models``."""

from __future__ import annotations

import json

import pytest

from vscugan.__main__ import main
from vscugan.cli import models_command
from vscugan.install import how_to_install
from vscugan.models.registry import rows


def test_models_are_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(rows())
    assert main(["models", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(rows())


def test_what_is_not_installed_is_named_with_its_models(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_command, "is_installed", lambda row: row.extra != "waifu2x")
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(rows())
    assert lines[-1] == (
        "the extra waifu2x, for waifu2x, waifu2x-anime and waifu2x-photo, is not installed; "
        f"{how_to_install('waifu2x')}"
    )
