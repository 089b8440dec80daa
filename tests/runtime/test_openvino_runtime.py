"""OpenVINO."""

from __future__ import annotations

import subprocess
import sys


def test_openvino_is_loaded_without_its_telemetry() -> None:
    code = """
import sys
from vscugan.runtime import openvino_runtime
openvino_runtime.package()
print("openvino_telemetry" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
