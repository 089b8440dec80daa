"""ONNX Runtime, on CUDA and by TensorRT."""

from __future__ import annotations

import importlib
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vscugan.errors import DeviceError
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.runtime import onnx_runtime
from vscugan.runtime.backends import backend_row, pick_backend
from vscugan.runtime.device import CPU, Device
from vscugan.runtime.graph_runtime import GraphRuntime, Session
from vscugan.runtime.onnx_writer import frame_model
from vscugan.runtime.protocol import PassOptions
from vscugan.runtime.workspace import Workspace

EXACT = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


def test_onnx_runtime_does_not_go_on_with_another_device() -> None:
    """A build without the provider would compute on the CPU and only warn."""
    for name, provider in (("onnxruntime", "CUDAExecutionProvider"), ("tensorrt", "TensorrtExecutionProvider")):
        with pytest.raises(DeviceError) as error:
            pick_backend(name, Device("cuda"), "fp32")
        assert str(error.value) == (
            f"backend={name} must be installed, got an onnxruntime without {provider}; "
            'run pip install onnxruntime-gpu "tensorrt<11" onnx, or use backend=auto'
        )


class Sessions:
    """Stands in for ONNX Runtime's sessions: what they were made with. ``runs``: the provider that they then have."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, runs: str = "TensorrtExecutionProvider") -> None:
        self.made: list[dict[str, dict[str, object]]] = []
        self._runs = runs
        monkeypatch.setattr(onnx_runtime.package(), "InferenceSession", self._make)
        providers = ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
        monkeypatch.setattr(onnx_runtime, "available_providers", lambda: providers)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")

    def _make(self, *_: object, providers: list[tuple[str, dict[str, object]]]) -> object:
        self.made.append(dict(providers))
        return SimpleNamespace(get_providers=lambda: [self._runs])

    @property
    def prefixes(self) -> list[object]:
        return [session["TensorrtExecutionProvider"]["trt_engine_cache_prefix"] for session in self.made]


def tensorrt(noise: str = "conservative", index: int = 0) -> GraphRuntime:
    weights = load_released(find(model="se", scale=2, noise=noise))
    runtime = backend_row("tensorrt").make(weights, Device("cuda", index), "fp16")
    assert isinstance(runtime, GraphRuntime)
    return runtime


def test_tensorrt_engines_of_two_models_have_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime names kept engines by names in the graph, which all our models share."""
    sessions = Sessions(monkeypatch)
    for noise in ("denoise3x", "conservative", "denoise3x"):
        model = frame_model(load_released(find(model="se", scale=2, noise=noise)))
        tensorrt(noise).load(model, ["output"], None)
    assert sessions.prefixes[0] == sessions.prefixes[2] != sessions.prefixes[1]
    assert all(session["CUDAExecutionProvider"] == {"device_id": 0} | EXACT for session in sessions.made)


def test_fp32_on_cuda_is_fp32_and_chosen_alike_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(monkeypatch, runs="CUDAExecutionProvider")
    weights = load_released(find(model="se", scale=2, noise="conservative"))
    runtime = backend_row("onnxruntime").make(weights, Device("cuda", 1), "fp32")
    assert isinstance(runtime, GraphRuntime)
    runtime.load(b"a graph", ["output"], None)
    assert sessions.made == [{"CUDAExecutionProvider": {"device_id": 1} | EXACT, "CPUExecutionProvider": {}}]


def test_pip_s_tensorrt_is_loaded_before_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime finds libraries that are loaded, and those on the loader's path, but not pip's."""
    sessions, real, loaded = Sessions(monkeypatch), importlib.import_module, list[int]()

    def imports(name: str) -> object:
        if name != "tensorrt":
            return real(name)
        loaded.append(len(sessions.made))
        raise ImportError(name)  # a system's own TensorRT has no such package

    monkeypatch.setattr(importlib, "import_module", imports)
    tensorrt().load(b"a graph", ["output"], None)
    assert loaded == [0]
    assert len(sessions.made) == 1


def test_tensorrt_engines_are_for_one_size_gpu_driver_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, graph = Sessions(monkeypatch), b"a graph"
    sizes = {"input": (1, 3, 84, 100)}
    tensorrt().load(graph, ["output"], sizes)
    tensorrt().load(graph, ["output"], {"input": (1, 3, 84, 104)})
    tensorrt(index=1).load(graph, ["output"], sizes)
    monkeypatch.setattr(onnx_runtime, "nvidia_driver", lambda: "590.10")
    tensorrt().load(graph, ["output"], sizes)
    monkeypatch.setattr(onnx_runtime, "version", lambda name: "10.99" if name == "tensorrt" else None)
    tensorrt().load(graph, ["output"], sizes)
    tensorrt().load(graph, ["output"], sizes)
    assert len(set(sessions.prefixes)) == 5
    assert sessions.prefixes[4] == sessions.prefixes[5]


def test_whole_frames_of_a_size_are_one_session_each_for_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, loaded = tensorrt(), list[object]()

    def load(model: bytes, outputs: list[str], shapes: object) -> Session:
        loaded.append(shapes)
        return lambda inputs, workspace: {name: np.zeros((1, 3, 2, 2), np.float32) for name in outputs}

    monkeypatch.setattr(runtime, "load", load)
    gates = tuple(torch.ones(1, 64, 1, 1) for _ in runtime.architecture.gates)
    for options in (PassOptions(), PassOptions(gates=gates), PassOptions(), PassOptions(gates=gates)):
        for px in (84, 100):
            runtime.run_network(torch.zeros(1, 3, 84, px), Workspace(), options)
    assert [shapes["input"][3] for shapes in loaded] == [84, 100] * 2  # type: ignore[index]


def test_a_provider_that_does_not_load_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime would go on with CUDA or the CPU."""
    Sessions(monkeypatch, runs="CPUExecutionProvider")
    with pytest.raises(DeviceError) as error:
        tensorrt().load(b"a graph", ["output"], None)
    assert str(error.value) == (
        "backend=tensorrt must compute by TensorrtExecutionProvider, got CPUExecutionProvider; "
        "what it needs did not load: check its libraries and the driver, or use backend=torch"
    )


def test_a_session_for_a_size_has_no_other() -> None:
    weights = load_released(find(model="se", scale=2, noise="conservative"))
    runtime = backend_row("onnxruntime").make(weights, CPU, "fp32")
    assert isinstance(runtime, GraphRuntime)
    inputs = {"input": np.zeros((1, 3, 32, 40), np.float32)}
    fixed = runtime.load(frame_model(weights), ["output"], {"input": (1, 3, 32, 40)})
    assert fixed(inputs, Workspace())["output"].shape == (1, 3, 64, 80)
    with pytest.raises(Exception, match=r"(?i)dimension"):
        fixed({"input": np.zeros((1, 3, 32, 48), np.float32)}, Workspace())


def test_a_session_that_takes_minutes_holds_no_other_up(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, go_on, begun = tensorrt(), threading.Event(), threading.Event()

    def load(model: bytes, outputs: list[str], shapes: dict[str, tuple[int, ...]]) -> Session:
        if shapes["input"][3] == 84:
            begun.set()
            assert go_on.wait(60)
        return lambda inputs, workspace: {name: np.zeros((1, 3, 2, 2), np.float32) for name in outputs}

    monkeypatch.setattr(runtime, "load", load)
    slow = threading.Thread(
        target=runtime.run_network, args=(torch.zeros(1, 3, 84, 84), Workspace(), PassOptions()), daemon=True
    )
    slow.start()
    assert begun.wait(60)
    runtime.run_network(torch.zeros(1, 3, 84, 100), Workspace(), PassOptions())
    assert slow.is_alive()
    go_on.set()
    slow.join()
