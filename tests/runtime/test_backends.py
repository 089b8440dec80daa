"""Which runtime is taken, and what is said about it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import requires
from pathlib import Path

import numpy as np
import pytest
import torch
from support.frames import upscale

from vscugan import settings
from vscugan.cache import cache_folder
from vscugan.engine import device
from vscugan.engine.engine import Engine
from vscugan.errors import DeviceError
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.runtime import backends, onnx_runtime
from vscugan.runtime.backends import backend_row, pick_backend
from vscugan.runtime.graph import frame_model
from vscugan.runtime.graph_runtime import GraphRuntime
from vscugan.settings import validate

CPU = torch.device("cpu")


def test_auto_takes_the_fastest_that_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pick_backend("auto", CPU, "fp32") == ("openvino", None)
    assert pick_backend("auto", CPU, "bf16") == ("openvino", None)
    assert pick_backend("auto", CPU, "fp16") == ("openvino", None)
    assert pick_backend("auto", torch.device("cuda", 0), "fp16") == ("torch", None)
    broken = "ImportError: two versions"
    monkeypatch.setattr(backends, "_missing", lambda b, _: broken if b.package == "openvino" else None)
    assert pick_backend("auto", CPU, "fp32") == ("onnxruntime", f"openvino does not load ({broken})")
    told: list[str] = []
    Engine(validate(), notify=told.append)
    assert told == ["backend: onnxruntime, because openvino does not load (ImportError: two versions)"]
    with pytest.raises(DeviceError) as error:
        pick_backend("openvino", CPU, "fp32")
    assert str(error.value) == (
        "backend=openvino must be installed, got ImportError: two versions; "
        "run pip install openvino onnx, or use backend=auto"
    )


def test_the_fastest_runtime_is_installed_by_default_on_x86_64() -> None:
    default = [need for need in requires("vscugan") or [] if "extra ==" not in need]
    for package in ("openvino", "onnx"):  # the second writes the graphs of the first
        (need,) = (need for need in default if need.startswith(f"{package}>"))
        assert "x86_64" in need
        assert "AMD64" in need


def test_without_the_optional_packages_torch_computes() -> None:
    code = """
import sys
for name in ("openvino", "onnxruntime", "onnx"):
    sys.modules[name] = None
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("openvino", "onnxruntime") else real(name, *rest)
from vscugan.engine.engine import Engine
from vscugan.settings import validate
told = []
print(Engine(validate(), notify=told.append).passes[0].runtime.name, told)
"""
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "torch []\n"


def test_openvino_is_loaded_without_its_telemetry() -> None:
    code = """
import sys
from vscugan.runtime import openvino_runtime
openvino_runtime.package()
print("openvino_telemetry" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_whole_frames_are_one_graph_and_tiles_five(backend: str, picture: np.ndarray) -> None:
    x = np.ascontiguousarray(picture[:, :64, :96])
    for tile, graphs in ((0, 1), (32, 5)):
        engine = Engine(validate(backend=backend, tile=tile, noise="denoise2x", alpha=1 + tile / 100))
        upscale(engine, x)
        runtime = engine.passes[0].runtime
        assert isinstance(runtime, GraphRuntime)
        assert len(runtime._sessions) == graphs
        del engine, runtime


@pytest.mark.parametrize(("model", "scale"), [("se", 2), ("se", 3), ("se", 4), ("pro", 2), ("pro", 3)])
def test_the_exported_network_gives_the_same_picture_elsewhere(model: str, scale: int, picture: np.ndarray) -> None:
    """The ONNX file for other programs, through ONNX Runtime, against our torch."""
    import onnxruntime

    x = np.ascontiguousarray(picture[:, 100:164, 260:340])
    weights = load_released(find(model=model, scale=scale, noise="conservative"))
    session = onnxruntime.InferenceSession(frame_model(weights), providers=["CPUExecutionProvider"])
    theirs = session.run(["output"], {"input": x[None]})[0][0].clip(0, 1)
    ours = upscale(Engine(validate(backend="torch", model=model, scale=scale, noise="conservative")), x)
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize("name", backends.BACKENDS)
def test_a_backends_row_agrees_with_what_users_read(name: str) -> None:
    row = backends.backend_row(name)
    assert row.name == name
    assert name in settings.backend_names()
    assert set(row.devices) <= set(settings.DEVICES)
    assert set(row.precisions) <= set(settings.OPTIONS["precision"].names)
    assert set(row.extras) <= set(row.devices)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("## Runtimes") : readme.index("## Precision")]
    for extra in row.extras.values():
        assert f'".[{extra}]"' in table, f"add the extra {extra} to README.md"
        needs = [need for need in requires("vscugan") or [] if need.endswith(f'extra == "{extra}"')]
        assert any(need.startswith(row.distributions) for need in needs), f"add the extra {extra} to pyproject.toml"


def test_onnx_runtime_does_not_go_on_with_another_device() -> None:
    """A build without the provider would compute on the CPU and only warn."""
    for name, provider in (("onnxruntime", "CUDAExecutionProvider"), ("tensorrt", "TensorrtExecutionProvider")):
        with pytest.raises(DeviceError) as error:
            pick_backend(name, torch.device("cuda", 0), "fp32")
        assert str(error.value) == (
            f"backend={name} must be installed, got an onnxruntime without {provider}; "
            "run pip install onnxruntime-gpu onnx, or use backend=auto"
        )


def test_auto_device_is_one_that_the_named_backend_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_count", lambda kind: int(kind in ("cuda", "cpu")))
    assert device.pick_device("auto").type == "cuda"
    assert device.pick_device("auto", "openvino").type == "cpu"
    assert device.pick_device("auto", "onnxruntime").type == "cuda"
    monkeypatch.setattr(device, "_count", lambda kind: int(kind == "cpu"))
    assert device.pick_device("auto", "tensorrt").type == "cpu"  # and pick_backend says what it needs


def test_tensorrt_engines_of_two_models_have_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime names kept engines by names in the graph, which all our models share."""
    sessions: list[dict[str, dict[str, object]]] = []
    monkeypatch.setattr(
        onnx_runtime.package(), "InferenceSession", lambda *_, providers: sessions.append(dict(providers))
    )
    monkeypatch.setattr(onnx_runtime, "available_providers", lambda: ["TensorrtExecutionProvider"])
    for noise in ("denoise3x", "conservative", "denoise3x"):
        weights = load_released(find(model="se", scale=2, noise=noise))
        runtime = backend_row("tensorrt").make(weights, torch.device("cuda", 0), "fp16")
        assert isinstance(runtime, GraphRuntime)
        runtime.load(frame_model(weights), ["output"], None)
    prefixes = [session["TensorrtExecutionProvider"]["trt_engine_cache_prefix"] for session in sessions]
    assert prefixes[0] == prefixes[2] != prefixes[1]
    assert all(set(session["CUDAExecutionProvider"]) == {"device_id"} for session in sessions)


COLD = """
import sys, threading
from vscugan.engine.engine import Engine
from vscugan.settings import validate
import numpy as np
x, out = np.full((3, 32, 32), 0.5, np.float32), np.empty((3, 64, 64), np.float32)
Engine(validate(backend="openvino")).upscale(x, list(out))
print("onnx" in sys.modules, float(out.sum()))
"""


def test_graphs_are_kept_whoever_else_writes_them() -> None:
    def cold() -> list[str]:
        run = subprocess.run([sys.executable, "-P", "-c", COLD], capture_output=True, text=True, check=True)
        return run.stdout.split()

    with ThreadPoolExecutor(2) as pool:
        beside = [pool.submit(cold) for _ in range(2)]
        values = {future.result()[1] for future in beside}
    assert len(values) == 1
    (kept,) = (cache_folder() / "graphs").iterdir()
    assert cold() == ["False", *values]  # the writer is not even imported
    content = kept.read_bytes()
    kept.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert cold() == ["True", *values]
    assert kept.read_bytes() == content
