"""Which device computes."""

from __future__ import annotations

import pytest

from vscugan.engine import device


def test_auto_device_is_one_that_the_named_backend_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_count", lambda kind: int(kind in ("cuda", "cpu")))
    assert device.pick_device("auto").type == "cuda"
    assert device.pick_device("auto", "openvino").type == "cpu"
    assert device.pick_device("auto", "onnxruntime").type == "cuda"
    monkeypatch.setattr(device, "_count", lambda kind: int(kind == "cpu"))
    assert device.pick_device("auto", "tensorrt").type == "cpu"  # and pick_backend says what it needs
