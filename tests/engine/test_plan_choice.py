"""The fastest plan that fits into memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vscugan.engine.network_pass import shared_runtime
from vscugan.engine.plan_choice import Budget, choose_plan
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.runtime.device import CPU
from vscugan.runtime.protocol import Runtime
from vscugan.runtime.torch_arrays import TorchArrays
from vscugan.tiling.tile_plan import FeatureStorage, TilePlan, stored_bytes, widest_map_bytes, working_bytes


def runtime_of(backend: str) -> Runtime:
    """2x on the CPU; OpenVINO takes whole frames where it can, torch does not."""
    weights = load_released(find(model="se", scale=2, noise="no-denoise"))
    return shared_runtime(backend, weights, CPU, "fp32")


def test_the_plan_follows_the_budget() -> None:
    runtime = runtime_of("openvino")
    plans = []
    for budget in (64 << 30, 4 << 30, 3 << 30, 400 << 20, 1):
        plan = choose_plan(runtime, 1080, 1920, Budget(device=budget, host=None))
        if budget > 1:
            need = stored_bytes(runtime.architecture, 1080, 1920, plan, 4)
            assert need + working_bytes(runtime.architecture, 1080, 1920, plan, 4) <= budget
        plans.append((plan.tile[0], plan.storage))
    assert plans[0] == (0, FeatureStorage.DEVICE)
    assert plans[1][1] in (FeatureStorage.DEVICE, FeatureStorage.LEAN)
    assert plans[3][1] is FeatureStorage.RECOMPUTE
    assert plans[4] == (32, FeatureStorage.RECOMPUTE)
    assert choose_plan(runtime_of("torch"), 1080, 1920, Budget(device=64 << 30, host=None)).tile == (128, 128)


def test_a_named_tile_stays_and_its_features_follow_the_budget() -> None:
    on_host = runtime_of("openvino")
    on_gpu: Any = SimpleNamespace(
        architecture=on_host.architecture,
        arrays=TorchArrays(torch.device("cuda"), torch.float32, torch.channels_last),
        working_maps=3.0,
        preferred_tile_px=0,
        keeps_maps=True,
        largest_buffer=None,
    )
    gib = 1 << 30
    for runtime, device, host, storage in (
        (on_host, 64 * gib, None, FeatureStorage.DEVICE),
        (on_host, 3 * gib, None, FeatureStorage.LEAN),
        (on_host, gib, None, FeatureStorage.RECOMPUTE),
        (on_gpu, gib, 8 * gib, FeatureStorage.HOST),
        (on_gpu, gib, gib // 2, FeatureStorage.RECOMPUTE),
        # a GPU through ONNX Runtime: only the tiles are on the device
        (on_host, gib, 8 * gib, FeatureStorage.DEVICE),
        (on_host, gib, 2 * gib, FeatureStorage.LEAN),
        (on_host, gib, gib // 2, FeatureStorage.RECOMPUTE),
    ):
        plan = choose_plan(runtime, 1080, 1920, Budget(device=device, host=host), (256, 256))
        assert plan == TilePlan(tile=(256, 256), storage=storage)
    # a whole frame's features are in the graph, on the device
    assert not choose_plan(on_host, 1080, 1920, Budget(device=3 * gib, host=64 * gib)).whole(1080, 1920)


def test_maps_stay_below_what_the_device_holds_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = runtime_of("openvino")
    mib, plenty = 1 << 20, Budget(device=64 << 30, host=None)
    tiles = []
    for most in (None, 4096 * mib, 256 * mib, 128 * mib, 1):
        monkeypatch.setattr(runtime, "largest_buffer", most, raising=False)
        plan = choose_plan(runtime, 1080, 1920, plenty)
        tiles.append(plan.tile[0])
        if most is not None and most > 1:
            assert widest_map_bytes(runtime.architecture, 1080, 1920, plan, 4) <= most
    assert tiles == [0, 0, 384, 256, 32]
    monkeypatch.setattr(runtime, "largest_buffer", 128 * mib)
    assert choose_plan(runtime, 1080, 1920, plenty, (300, 300)).tile == (300, 300)
    assert choose_plan(runtime, 1080, 1920, plenty, (0, 400)).tile == (270, 100)
    assert choose_plan(runtime, 64, 48, plenty, (0, 0)).whole(64, 48)
