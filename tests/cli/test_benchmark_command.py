"""``vscugan benchmark``."""

from __future__ import annotations

import pytest

from vscugan.__main__ import main


def test_benchmark_measures_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--size", "64x48", "--frames", "1", "--turns", "1", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("torch ") and "fps" in line for line in lines)
    assert any(line.startswith("tensorrt") and "not here" in line for line in lines)
