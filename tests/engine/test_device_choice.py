"""Which device computes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from vscugan.engine import device_choice
from vscugan.engine.device_choice import gpus, pick_device
from vscugan.errors import DeviceError
from vscugan.runtime.backends import backend_row
from vscugan.runtime.device import CPU, Adapter, Device, numbered

ARC = Adapter(name="Arc", driver="23.2", memory_bytes=8 << 30)
SOFTWARE = Adapter(name="llvmpipe", is_software=True)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes torch see devices of these kinds and names, and two more backends, ``a`` and ``b``, these adapters."""

    def make(a: Sequence[Adapter] = (), b: Sequence[Adapter] = (), **of_torch: Sequence[str]) -> None:
        rows = {name: backend_row(name) for name in ("torch", "openvino", "onnxruntime", "tensorrt")}
        for name, adapters in (("a", a), ("b", b)):
            rows[name] = replace(
                rows["openvino"],
                name=name,
                devices={"gpu": ("fp32",)},
                adapters=partial(numbered, adapters),
            )
        monkeypatch.setattr(device_choice, "backend_rows", lambda: tuple(rows.values()))
        monkeypatch.setattr(device_choice, "backend_row", rows.__getitem__)
        monkeypatch.setattr(
            device_choice, "torch_count", lambda kind: 1 if kind == "cpu" else len(of_torch.get(kind, ()))
        )
        for kind in ("cuda", "xpu"):
            named = SimpleNamespace(get_device_name=lambda n, kind=kind: of_torch[kind][n])
            monkeypatch.setattr(torch, kind, named)

    return make


def refusal(name: str, backend: str = "auto") -> str:
    with pytest.raises(DeviceError) as error:
        pick_device(name, backend)
    return str(error.value)


def test_auto_device_is_one_that_the_named_backend_has(machine: Callable[..., None]) -> None:
    machine(cuda=["4090"])
    assert pick_device("auto") == Device("cuda")
    assert pick_device("auto", "openvino") == CPU
    assert pick_device("auto", "onnxruntime") == Device("cuda")
    assert pick_device("auto", "auto", "int8") == CPU
    machine()
    assert pick_device("auto", "tensorrt") == CPU  # and pick_backend says what it needs


def test_a_gpu_is_found_whoever_made_it(machine: Callable[..., None]) -> None:
    machine(b=[SOFTWARE, ARC, ARC])
    assert [gpu.adapter.name for gpu in gpus()] == ["Arc", "Arc", "llvmpipe"]
    for name, backend in (("auto", "auto"), ("gpu", "auto"), ("gpu", "b"), ("gpu:0", "auto"), ("auto", "b")):
        assert pick_device(name, backend) == Device("gpu", 0, ARC)
    second = pick_device("gpu:1")
    assert (str(second), second.adapter) == ("gpu:1", replace(ARC, nth=1))
    assert pick_device("auto", "auto", "bf16") == CPU  # the adapters have none
    assert pick_device("auto", "openvino") == CPU
    machine(a=[ARC], cuda=["4090"])
    assert pick_device("gpu") == Device("cuda")
    assert pick_device("gpu", "a") == Device("gpu", 1, ARC)
    assert refusal("gpu:0", "a").startswith(
        "device=gpu:0 must be a GPU that backend=a reaches, got gpu:0 4090 (reached by torch), gpu:1 Arc (reached by a)"
    )


def test_an_integrated_gpu_is_taken_where_it_is_named(machine: Callable[..., None]) -> None:
    part = replace(ARC, name="UHD", is_integrated=True)
    machine(a=[part])
    assert pick_device("auto") == CPU
    assert pick_device("gpu") == pick_device("auto", "a") == Device("gpu", 0, part)  # a has no CPU to go to
    machine(a=[part, SOFTWARE, ARC])
    assert [gpu.adapter.name for gpu in gpus()] == ["Arc", "UHD", "llvmpipe"]


def test_a_backend_that_is_not_installed_is_named(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine()
    load = partial(importlib.import_module, "none_such")
    row = replace(device_choice.backend_row("a"), package="none_such", load=load)
    monkeypatch.setattr(device_choice, "backend_row", lambda name: row)
    for name in ("auto", "gpu"):
        assert refusal(name, "a").startswith("backend=a must be installed, got ")


def test_what_several_runtimes_reach_is_one_gpu(machine: Callable[..., None]) -> None:
    machine(a=[replace(ARC, name="4090"), ARC], b=[ARC], cuda=["4090"])
    assert [(gpu.adapter.name, gpu.of_torch, gpu.reached_by) for gpu in gpus()] == [
        ("4090", Device("cuda"), ("a",)),
        ("Arc", None, ("a", "b")),
    ]
    assert pick_device("gpu:0", "a") == Device("gpu", 0, replace(ARC, name="4090"))
    assert pick_device("gpu:0") == Device("cuda")


def test_software_computes_only_where_it_is_named(machine: Callable[..., None]) -> None:
    machine(a=[SOFTWARE])
    assert pick_device("auto") == CPU
    assert pick_device("gpu:0") == Device("gpu", 0, SOFTWARE)
    listed = "gpu:0 llvmpipe (reached by a, in software)"
    assert refusal("gpu") == (
        f"device=gpu must be a GPU that a runtime here reaches, got {listed}; "
        "use device=cpu, or install the GPU's driver and see vscugan doctor"
    )
    machine()
    assert "reaches, got none; use device=cpu" in refusal("gpu:3")
    assert refusal("cuda:1").startswith("device=cuda:1 must be one that torch sees, got 0 CUDA devices")
