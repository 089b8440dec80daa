"""What is known of devices without a runtime."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from vscugan.runtime.device import nvidia_driver


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
