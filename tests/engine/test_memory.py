"""How much memory is free."""

from __future__ import annotations

import pytest
import torch

from vscugan.engine.memory import free_bytes
from vscugan.runtime.device import Device


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_a_gpu_has_memory_of_its_own(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getattr(torch, kind), "mem_get_info", lambda device: (device.index + 5, 99))
    assert free_bytes(Device(kind, 2)) == 7

    def fails(device: torch.device) -> None:
        raise RuntimeError("The device doesn't support querying the available free memory")

    monkeypatch.setattr(getattr(torch, kind), "mem_get_info", fails)  # an integrated one
    assert free_bytes(Device(kind, 2)) > 1 << 20
