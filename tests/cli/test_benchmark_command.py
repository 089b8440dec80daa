"""``vscugan benchmark``."""

from __future__ import annotations

from typing import Any

import pytest

from vscugan.__main__ import main
from vscugan.cli import turns
from vscugan.clip import upscale

SMALL = ("benchmark", "--size", "64x48", "--frames", "1", "--turns", "1", "--device", "cpu")


def test_benchmark_measures_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SMALL) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("torch ") and "fps" in line for line in lines)
    assert any(line.startswith("tensorrt") and "not here" in line for line in lines)


def test_only_some_runtimes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--backend", "tensorrt,torch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["64x48,", "torch", "tensorrt"]
    assert main([*SMALL, "--backend", "tensorrt"]) == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--size", "64x47"], "size must be WIDTHxHEIGHT of even numbers, got 64x47; use 320x180"),
        (["--frames", "0"], "frames must be at least 1, got 0; leave it out for the default"),
        (["--turns", "0"], "turns must be at least 1, got 0; leave it out for the default"),
        (
            ["--backend", "torch,caffe"],
            "backend must be torch, openvino, onnxruntime, ncnn, tensorrt, directml or webgpu, got caffe; "
            "use one of these",
        ),
    ],
)
def test_what_is_refused(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", *argv]) == 2
    assert capsys.readouterr().err == f"vscugan benchmark: {message}\n"


def test_on_cuda_graphs_are_captured_before_a_turn_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    computed: list[int] = []
    monkeypatch.setattr(turns, "compute", lambda clip: computed.append(len(clip)))
    for device in ("cuda:0", "cpu"):
        report: dict[str, Any] = {"device": device, "precision": "fp16"}
        monkeypatch.setattr(upscale, "describe", lambda clip, report=report: report)
        argv = ["--size", "64x48", "--frames", "2", "--turns", "2", "--device", "cpu", "--backend", "torch"]
        assert main(["benchmark", *argv]) == 0
    assert computed == [8, 2, 2, 2, 2]
    assert "on cuda:0, fp16" in capsys.readouterr().out
