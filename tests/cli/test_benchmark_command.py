"""``vscugan benchmark``."""

from __future__ import annotations

from typing import Any

import pytest

from vscugan.__main__ import main
from vscugan.cli import benchmark_command
from vscugan.clip import upscale


def test_benchmark_measures_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--size", "64x48", "--frames", "1", "--turns", "1", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("torch ") and "fps" in line for line in lines)
    assert any(line.startswith("tensorrt") and "not here" in line for line in lines)


def test_on_cuda_graphs_are_captured_before_a_turn_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    computed: list[int] = []
    monkeypatch.setattr(benchmark_command, "BACKENDS", ["torch"])
    monkeypatch.setattr(benchmark_command, "_compute", lambda clip: computed.append(len(clip)))
    for device in ("cuda:0", "cpu"):
        report: dict[str, Any] = {"device": device, "precision": "fp16"}
        monkeypatch.setattr(upscale, "describe", lambda clip, report=report: report)
        assert main(["benchmark", "--size", "64x48", "--frames", "2", "--turns", "2", "--device", "cpu"]) == 0
    assert computed == [8, 2, 2, 2, 2]
    assert "on cuda:0, fp16" in capsys.readouterr().out
