"""How much memory is free."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vscugan.engine import memory
from vscugan.engine.memory import free_bytes
from vscugan.runtime.device import CPU, Adapter, Device

GIB = 1 << 30


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_a_gpu_has_memory_of_its_own(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getattr(torch, kind), "mem_get_info", lambda device: (device.index + 5, 99))
    assert free_bytes(Device(kind, 2)) == 7

    def fails(device: torch.device) -> None:
        raise RuntimeError("The device doesn't support querying the available free memory")

    monkeypatch.setattr(getattr(torch, kind), "mem_get_info", fails)  # an integrated one
    assert free_bytes(Device(kind, 2)) > 1 << 20


@pytest.mark.parametrize(
    ("facts", "of_gpu", "of_host", "expected"),
    [
        ({}, 6, 2, 6),
        ({"is_integrated": True}, 6, 2, 2),
        ({"is_integrated": True}, 1, 2, 1),
        ({}, None, 64, 4),  # as WebGPU's on Windows
        ({}, None, 2, 2),
        ({"is_software": True}, None, 64, 64),
    ],
)
def test_a_gpu_that_torch_does_not_reach(
    facts: dict[str, Any], of_gpu: int | None, of_host: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In GiB; what was free when it was listed does not count."""
    monkeypatch.setattr(memory, "free_memory", lambda adapter: None if of_gpu is None else of_gpu * GIB)
    monkeypatch.setattr(memory, "_free_of_host", lambda: of_host * GIB)
    adapter = Adapter(name="Card 9000", memory_bytes=99 * GIB, **facts)
    assert free_bytes(Device("gpu", 0, adapter)) == expected * GIB


@pytest.mark.parametrize(
    ("limit", "used", "stat", "expected"),
    [
        ("8", "5", "anon 1\ninactive_file 3\n", 6),  # files that were read fill a container, and are dropped at need
        ("8", "9", "inactive_file 0\n", 0),
        ("8", "5", "", 3),
        ("max", "5", "inactive_file 3\n", 64),
        ("99", "5", "inactive_file 3\n", 64),
        (None, "5", "", 64),
    ],
)
def test_a_container_may_leave_less(
    limit: str | None, used: str, stat: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bytes."""
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=64))
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    for name, text in (("max", limit), ("current", used), ("stat", stat)):
        if text is not None:
            (tmp_path / f"memory.{name}").write_text(text, encoding="ascii")
    assert free_bytes(CPU) == expected
