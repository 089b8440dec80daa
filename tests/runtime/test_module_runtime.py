"""A module of spandrel's as a runtime: it gives what spandrel gives, and is run by one thread at a time."""

from __future__ import annotations

import importlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from support.user_networks import compact, loaded

from vscugan.runtime.backends import backend_row
from vscugan.runtime.device import CPU
from vscugan.runtime.module_runtime import ModuleRuntime
from vscugan.runtime.protocol import PassOptions
from vscugan.runtime.workspace import Workspace


@pytest.fixture
def runtime(tmp_path: Path) -> ModuleRuntime:
    made = backend_row("torch").make(loaded(tmp_path / "x.pth", compact()), CPU, "fp32")
    assert isinstance(made, ModuleRuntime)
    return made


def test_it_gives_what_spandrel_gives(runtime: ModuleRuntime, tmp_path: Path) -> None:
    x = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        y, gates = runtime.run_network(x, Workspace(), PassOptions())
    wanted = importlib.import_module("spandrel").ModelLoader().load_from_file(tmp_path / "x.pth")
    assert torch.equal(y, wanted(x))
    assert gates == ()


def test_one_thread_at_a_time(runtime: ModuleRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such networks may keep what they compute from one step to the next."""
    inside, most = list[int](), list[int]()
    lock, real = threading.Lock(), runtime._network

    def watched(x: torch.Tensor) -> Any:
        with lock:
            inside.append(1)
            most.append(len(inside))
        time.sleep(0.01)
        y = real(x)
        with lock:
            inside.pop()
        return y

    monkeypatch.setattr(runtime, "_network", watched)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: runtime.run_network(torch.zeros(1, 3, 8, 8), Workspace(), PassOptions()), range(8)))
    assert most == [1] * 8


def test_flags_of_the_process_are_put_back(tmp_path: Path) -> None:
    """Whichever of two networks ends first."""
    runtimes = [backend_row("torch").make(loaded(tmp_path / f"{k}.pth", compact(seed=k)), CPU, "fp32") for k in (1, 2)]
    entered = [threading.Event(), threading.Event()]

    def compute(k: int) -> bool:
        runtime: Any = runtimes[k]
        runtime._device = torch.device("cuda")
        with runtime._exact():
            entered[k].set()
            entered[1 - k].wait(0.05)
            time.sleep(0.02 * k)
            return bool(torch.backends.cudnn.deterministic)

    assert not torch.backends.cudnn.deterministic
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(compute, range(2))) == [True, True]
    assert not torch.backends.cudnn.deterministic


def test_other_precisions_are_copies(tmp_path: Path) -> None:
    weights = loaded(tmp_path / "x.pth", compact())
    half = backend_row("torch").make(weights, CPU, "bf16")
    network: Any = weights.network
    assert half.arrays.as_map(torch.zeros(1)).dtype is torch.bfloat16
    assert {p.dtype for p in network.run.model.parameters()} == {torch.float32}
