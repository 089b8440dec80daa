"""How much memory is free."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vscugan.engine import memory
from vscugan.engine.memory import free_bytes
from vscugan.runtime.device import Adapter, Device

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
