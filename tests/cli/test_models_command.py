"""``vscugan models``."""

from __future__ import annotations

import json

import pytest

from vscugan.__main__ import main
from vscugan.models.registry import rows


def test_models_are_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(rows())
    assert main(["models", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(rows())
