"""How a worker process is started."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from vscugan.encode.worker_process import WorkerProcess


@pytest.mark.parametrize("is_environment", [False, True])
def test_windows_starts_python_and_no_launcher_of_an_environment(
    is_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher lives as long as its Python, and holds the log open that it was started with."""
    calls: list[tuple[list[str], dict[str, Any]]] = []
    base = "C:/Python312/python.exe" if is_environment else sys.executable
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "_base_executable", base)
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: calls.append((command, options)))
    monkeypatch.delenv("__PYVENV_LAUNCHER__", raising=False)
    WorkerProcess()._start(None)
    ((command, options),) = calls
    assert command == [base, "-P", "-m", "vscugan.encode.worker.worker"]
    assert options["env"].get("__PYVENV_LAUNCHER__") == (sys.executable if is_environment else None)
    assert options["creationflags"] == 0x200
