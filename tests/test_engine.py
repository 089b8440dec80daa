"""The engine's promises that no script shows: sharing, sharpness, overshoot."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from conftest import upscale

from vscugan import engine as module
from vscugan.engine import Engine
from vscugan.settings import validate


def test_weights_are_shared_and_go_with_the_last_user() -> None:
    first, second = Engine(validate(noise="denoise2x")), Engine(validate(noise=2, alpha=0.9))
    assert first.lanes[0].passes[0].runtime is second.lanes[0].passes[0].runtime
    runtime = weakref.ref(first.lanes[0].passes[0].runtime)
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
    took: list[int] = []
    for at, lane in enumerate(engine.lanes):
        network = lane.passes[0]
        real = network.run

        def watched(*arguments: Any, at: int = at, real: Any = real) -> Any:
            took.append(at)
            return real(*arguments)

        network.run = watched  # type: ignore[method-assign]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda x: upscale(engine, x), frames))
    assert all(np.array_equal(a, b) for a, b in zip(got, wanted, strict=True))
    assert len(took) == 12
    assert set(took) == {0, 1, 2}
    took.clear()
    for x in frames[:3]:  # alone, each goes to the first of the list
        upscale(engine, x)
    assert took == [0, 0, 0]


def test_devices_of_several_kinds_compute_in_one_precision() -> None:
    cuda, cpu = torch.device("cuda", 0), torch.device("cpu")
    assert module._precision("auto", "auto", [cuda, cuda]) == "fp16"
    assert module._precision("auto", "auto", [cuda, cpu]) == "fp32"
    assert module._precision("auto", "onnxruntime", [cuda]) == "fp32"
    assert module._precision("bf16", "auto", [cuda, cpu]) == "bf16"
