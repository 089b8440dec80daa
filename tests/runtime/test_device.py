"""What is known of devices without a runtime."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from vscugan.runtime import device
from vscugan.runtime.device import cpu_threads, instruction_set, nvidia_driver


def test_the_driver_is_what_nvidias_library_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(text: Any, length: int) -> int:
        text.value = b"590.44.01"
        return 0

    library = SimpleNamespace(nvmlInit_v2=lambda: 0, nvmlSystemGetDriverVersion=version, nvmlShutdown=lambda: 0)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert nvidia_driver() == "590.44.01"


def test_without_nvidias_library_there_is_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert nvidia_driver() == ""


@pytest.mark.instruction_set
def test_the_instruction_set_is_what_torch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said = torch.backends.cpu.get_cpu_capability().lower()
    assert instruction_set() == ("neon" if platform.machine() == "aarch64" else said)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86 alone has these")
@pytest.mark.parametrize("named", ["default", "avx2", "no such"])
def test_the_instruction_set_can_be_held_down_as_that_of_torch(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import torch; print(torch.backends.cpu.get_cpu_capability().lower())"
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", named)
    said = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert instruction_set() == said.stdout.strip()


def test_threads_are_the_cores_that_the_process_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert cpu_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    for n, siblings in enumerate(("0-1", "0-1", "2-3", "2-3")):
        (tmp_path / f"cpu{n}/topology").mkdir(parents=True)
        (tmp_path / f"cpu{n}/topology/thread_siblings_list").write_text(siblings)
    monkeypatch.setattr(device, "PROCESSORS", tmp_path)
    assert cpu_threads() == 2
    monkeypatch.setattr(device, "PROCESSORS", tmp_path / "none")
    assert cpu_threads() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: {True: 10, False: 5}[logical])
    assert cpu_threads() == 5
