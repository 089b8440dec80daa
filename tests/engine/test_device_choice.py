"""Which device computes."""

from __future__ import annotations

import pytest

from vscugan.engine import device_choice


def test_auto_device_is_one_that_the_named_backend_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_choice, "torch_count", lambda kind: int(kind in ("cuda", "cpu")))
    assert device_choice.pick_device("auto").kind == "cuda"
    assert device_choice.pick_device("auto", "openvino").kind == "cpu"
    assert device_choice.pick_device("auto", "onnxruntime").kind == "cuda"
    monkeypatch.setattr(device_choice, "torch_count", lambda kind: int(kind == "cpu"))
    assert device_choice.pick_device("auto", "tensorrt").kind == "cpu"  # and pick_backend says what it needs
