"""The engine's promises that no script shows: sharing, sharpness, overshoot."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from support.frames import upscale

from vscugan.engine import engine as module
from vscugan.engine import route
from vscugan.engine.engine import Engine
from vscugan.models.registry import ModelRow
from vscugan.models.weights import Weights
from vscugan.runtime import torch_backend
from vscugan.runtime.backends import pick_backend
from vscugan.runtime.device import CPU, Device
from vscugan.settings import validate


def test_weights_are_shared_and_go_with_the_last_user() -> None:
    first, second = Engine(validate(noise="denoise2x")), Engine(validate(noise=2, alpha=0.9))
    assert first.passes[0].runtime is second.passes[0].runtime
    runtime = weakref.ref(first.passes[0].runtime)
    del first
    gc.collect()
    assert runtime() is not None
    del second
    gc.collect()
    assert runtime() is None


def test_alpha_above_one_is_sharper(picture: np.ndarray) -> None:
    x = np.ascontiguousarray(picture[:, 100:164, 260:340])
    edges = [
        float(np.abs(np.diff(upscale(Engine(validate(alpha=alpha)), x), axis=2)).mean()) for alpha in (0.7, 1.0, 1.3)
    ]
    assert edges[0] < edges[1] < edges[2]


def test_devices_share_the_frames_and_the_bits_stay(picture: np.ndarray) -> None:
    frames = [np.ascontiguousarray(picture[:, 100 + n : 148 + n, 200:264]) for n in range(12)]
    wanted = [upscale(Engine(validate(backend="torch")), x) for x in frames]
    engine = Engine(validate(backend="torch", device=["cpu", "cpu", "cpu"], streams=1))
    served_by: list[int] = []
    for at, (slot,) in enumerate(engine.slots_by_device):
        network = slot.passes[0]
        real = network.run

        def watched(*arguments: Any, at: int = at, real: Any = real) -> Any:
            served_by.append(at)
            return real(*arguments)

        setattr(network, "run", watched)  # noqa: B010
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda x: upscale(engine, x), frames))
    assert all(np.array_equal(a, b) for a, b in zip(got, wanted, strict=True))
    assert len(served_by) == 12
    assert set(served_by) == {0, 1, 2}
    served_by.clear()
    for x in frames[:3]:  # alone, each goes to the first of the list
        upscale(engine, x)
    assert served_by == [0, 0, 0]


def test_devices_of_several_kinds_compute_in_one_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, cpu = Device("cuda"), CPU
    notes: list[str] = []

    def precision(devices: list[Device], **arguments: Any) -> str:
        notes.clear()
        return module._precision(validate(**arguments), devices, notes.append)

    assert precision([cuda, cuda]) == "fp16"
    assert precision([cuda, cpu]) == "fp32"
    assert precision([cuda], backend="onnxruntime") == "fp32"
    monkeypatch.setattr(torch_backend, "native_precisions", lambda device: ("fp16",) if device.kind == "cuda" else ())
    assert precision([cuda, cuda], precision="fp16", backend="torch") == "fp16"
    assert notes == []
    assert precision([cuda, cpu], precision="fp16", backend="torch") == "fp32"
    assert notes == ["precision: fp32, because torch on cpu has no instructions for fp16"]


@pytest.mark.instruction_set
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("backend", ["torch", "openvino", "auto"])
def test_the_precision_that_is_named_is_the_one_that_computes(
    backend: str, precision: str, picture: np.ndarray
) -> None:
    x = np.ascontiguousarray(picture[:, 100:148, 260:324])
    notes: list[str] = []
    engine = Engine(validate(backend=backend, precision=precision, tile=0), notify=notes.append)
    runtime = engine.passes[0].runtime.name
    is_fp32 = np.array_equal(upscale(engine, x), upscale(Engine(validate(backend=runtime, tile=0)), x))
    assert engine.report()["CuganPrecision"] == ("fp32" if is_fp32 else precision)
    asked, _ = pick_backend(backend, CPU, precision)
    line = f"precision: fp32, because {asked} on cpu has no instructions for {precision}"
    assert notes[:1] == [line] if is_fp32 else line not in notes


def test_cuda_streams_belong_to_slots_and_not_to_frames(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    devices: list[Device] = []
    monkeypatch.setattr(module, "new_stream", devices.append)
    engine = Engine(validate(streams=2))
    for _ in range(3):
        upscale(engine, np.ascontiguousarray(picture[:, :32, :32]))
    assert len(devices) == 2


def test_weights_are_read_once_for_all_devices(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = route.load_released

    def counted(row: ModelRow, strength: float | None = None) -> Weights:
        read.append(row.name)
        return real(row, strength)

    monkeypatch.setattr(route, "load_released", counted)
    settings = validate(backend="torch", width=96, device=["cpu", "cpu"], precision="fp32")
    engine = Engine(settings, route.find_route(settings, (16, 16), (96, 96)))
    assert upscale(engine, np.ascontiguousarray(picture[:, :16, :16])).shape == (3, 128, 128)
    assert read == ["se-2x-no-denoise", "se-4x-conservative"]
