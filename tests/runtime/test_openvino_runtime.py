"""OpenVINO."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.user_networks import convolutions, onnx_network

RUNTIME = """
from vscugan.runtime import openvino_runtime
openvino_runtime.package()
"""
FILE = """
from vscugan.models import onnx_file
from vscugan.models.weights import load_file
onnx_file.RUNNERS = ("openvino",)
load_file("x.onnx")
"""


@pytest.mark.parametrize("code", [RUNTIME, FILE], ids=["runtime", "file"])
def test_openvino_is_loaded_without_its_telemetry(code: str, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(onnx_network(**convolutions(3, 3, scale=2)))
    code += "import sys; print('openvino' in sys.modules, 'openvino_telemetry' in sys.modules)"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert run.stdout == "True False\n"
