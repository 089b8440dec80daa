"""ONNX Runtime, on CUDA and by TensorRT."""

from __future__ import annotations

import pytest

from vscugan.errors import DeviceError
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.runtime import onnx_runtime
from vscugan.runtime.backends import backend_row, pick_backend
from vscugan.runtime.device import Device
from vscugan.runtime.graph_runtime import GraphRuntime
from vscugan.runtime.onnx_writer import frame_model


def test_onnx_runtime_does_not_go_on_with_another_device() -> None:
    """A build without the provider would compute on the CPU and only warn."""
    for name, provider in (("onnxruntime", "CUDAExecutionProvider"), ("tensorrt", "TensorrtExecutionProvider")):
        with pytest.raises(DeviceError) as error:
            pick_backend(name, Device("cuda"), "fp32")
        assert str(error.value) == (
            f"backend={name} must be installed, got an onnxruntime without {provider}; "
            "run pip install onnxruntime-gpu onnx, or use backend=auto"
        )


def test_tensorrt_engines_of_two_models_have_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime names kept engines by names in the graph, which all our models share."""
    sessions: list[dict[str, dict[str, object]]] = []
    monkeypatch.setattr(
        onnx_runtime.package(), "InferenceSession", lambda *_, providers: sessions.append(dict(providers))
    )
    monkeypatch.setattr(onnx_runtime, "available_providers", lambda: ["TensorrtExecutionProvider"])
    for noise in ("denoise3x", "conservative", "denoise3x"):
        weights = load_released(find(model="se", scale=2, noise=noise))
        runtime = backend_row("tensorrt").make(weights, Device("cuda"), "fp16")
        assert isinstance(runtime, GraphRuntime)
        runtime.load(frame_model(weights), ["output"], None)
    prefixes = [session["TensorrtExecutionProvider"]["trt_engine_cache_prefix"] for session in sessions]
    assert prefixes[0] == prefixes[2] != prefixes[1]
    assert all(set(session["CUDAExecutionProvider"]) == {"device_id"} for session in sessions)
