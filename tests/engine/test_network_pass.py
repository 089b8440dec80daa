"""One pass of the network: recovery from an out-of-memory, precision fallback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.frames import upscale
from support.tensors import tensors_of

from vscugan.engine import network_pass, planner
from vscugan.engine.engine import Engine
from vscugan.engine.route import find_route
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.runtime.protocol import Runtime
from vscugan.settings import validate
from vscugan.tiling.tile_plan import FeatureStorage, TilePlan


def test_out_of_memory_halves_the_tile_and_loses_no_frame(
    picture: np.ndarray, short_of_memory: Callable[[int], list[tuple[int, int]]]
) -> None:
    x = np.ascontiguousarray(picture[:, :100, :120])
    wanted = upscale(Engine(validate(tile=0)), x)
    notes: list[str] = []
    engine = Engine(validate(tile=0), notify=notes.append)
    tried = short_of_memory(40)
    assert np.abs(upscale(engine, x) - wanted).max() < 2e-5
    assert tried == [(0, 0), (50, 60), (32, 32)]
    assert notes[2:] == [
        "out of memory on cpu: tile 120x100 -> 60x50, features kept without skips",
        "out of memory on cpu: tile 60x50 -> 32x32, features kept without skips",
    ]


@pytest.mark.usefixtures("every_precision")
def test_nan_in_fp16_is_computed_again_in_fp32(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ascontiguousarray(picture[:, :48, :64])
    wanted = upscale(Engine(validate(tile=0, backend="torch")), x)
    notes: list[str] = []
    engine = Engine(validate(tile=0, precision="bf16", backend="torch"), notify=notes.append)
    real = network_pass.run_tiles

    def overflows(runtime: Runtime, *rest: Any) -> object:
        return real(runtime, *rest) if runtime.arrays.item_bytes == 4 else None

    monkeypatch.setattr(network_pass, "run_tiles", overflows)
    assert np.array_equal(upscale(engine, x), wanted)
    assert notes[1:] == ["frame 0 gave NaN or Inf in bf16; it was computed again in fp32"]


@pytest.mark.usefixtures("every_precision")
def test_a_later_pass_that_overflows_reads_again_what_is_overwritten_meanwhile(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the CUDA graphs of two passes, which share memory."""
    x, results = np.ascontiguousarray(picture[:, :32, :40]), list[torch.Tensor]()
    settings = validate(tile=0, precision="bf16", backend="torch", scale=6)
    engine = Engine(settings, find_route(settings, (40, 32), (240, 192)))
    second, real = engine.passes[1].runtime, network_pass.run_tiles

    def overflows(runtime: Runtime, *rest: Any) -> object:
        if runtime is second:
            results[0].fill_(torch.nan)
            return None
        result = real(runtime, *rest)
        assert result is not None
        results.append(result[0])
        return result

    monkeypatch.setattr(network_pass, "run_tiles", overflows)
    assert np.isfinite(upscale(engine, x)).all()
    assert len(results) == 2


@pytest.mark.parametrize("storage", [FeatureStorage.LEAN, FeatureStorage.HOST, FeatureStorage.RECOMPUTE])
@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize(
    ("model", "scale"),
    [("se", 2), ("se", 3), ("se", 4), ("waifu2x", 1), ("waifu2x-anime", 2), ("realesrgan-animevideo", 3)],
)
def test_where_features_wait_changes_nothing(
    model: str, scale: int, backend: str, storage: FeatureStorage, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HOST is the path of a GPU short of memory; on the CPU host and device are one."""
    x = np.ascontiguousarray(picture[:, 100:163, 200:297])
    alpha = 0.9 if model in ("se", "waifu2x") else 1.0
    wanted = upscale(Engine(validate(tile=0, model=model, scale=scale, alpha=alpha)), x)
    engine = Engine(validate(tile=(48, 32), model=model, scale=scale, alpha=alpha, backend=backend))
    seen = []
    real = network_pass.run_tiles

    def watched(runtime: Runtime, padded: torch.Tensor, plan: TilePlan, *rest: Any) -> object:
        seen.append(plan)
        return real(runtime, padded, plan, *rest)

    monkeypatch.setattr(planner, "choose_plan", lambda *_: TilePlan(tile=(32, 48), storage=storage))
    monkeypatch.setattr(network_pass, "run_tiles", watched)
    assert np.abs(upscale(engine, x) - wanted).max() < 2e-5
    assert seen == [TilePlan(tile=(32, 48), storage=storage)]


@pytest.mark.usefixtures("every_precision")
def test_weights_that_overflow_fp16_still_give_the_picture(picture: np.ndarray, tmp_path: Path) -> None:
    """One layer's output scaled by 2^16 and the next layer's input by 2^-16: the same network, but not in fp16."""
    tensors = tensors_of(load_released(find(model="se", scale=2, noise="no-denoise")))
    for kind in ("weight", "bias"):
        tensors[f"unet1.conv1.conv.0.{kind}"] = tensors[f"unet1.conv1.conv.0.{kind}"] * 2.0**16
    tensors["unet1.conv1.conv.2.weight"] = tensors["unet1.conv1.conv.2.weight"] * 2.0**-16
    path = tmp_path / "overflows.pth"
    torch.save(tensors, path)
    x = np.ascontiguousarray(picture[:, :48, :64])
    notes: list[str] = []
    engine = Engine(validate(weights=str(path), precision="fp16", backend="torch", tile=0), notify=notes.append)
    path.write_bytes(b"another file, hours later")
    got = upscale(engine, x)
    assert np.abs(got - upscale(Engine(validate(tile=0)), x)).max() < 2e-5
    assert notes[1:] == ["frame 0 gave NaN or Inf in fp16; it was computed again in fp32"]
