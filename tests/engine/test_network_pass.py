"""One pass of the network: memory plan, recovery, precision fallback."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support.frames import upscale

from vscugan.architectures import ARCHITECTURES
from vscugan.engine import network_pass as module
from vscugan.engine import planner
from vscugan.engine.engine import Engine
from vscugan.engine.memory import free_bytes
from vscugan.engine.network_pass import shared_runtime
from vscugan.engine.plan_choice import Budget, choose_plan
from vscugan.errors import DeviceError
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.runtime.protocol import Runtime
from vscugan.settings import validate
from vscugan.tiling.tile_plan import FeatureStorage, TilePlan, stored_bytes, working_bytes


def test_out_of_memory_halves_the_tile_and_loses_no_frame(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ascontiguousarray(picture[:, :100, :120])
    wanted = upscale(Engine(validate(tile=0)), x)
    told: list[str] = []
    engine = Engine(validate(tile=0), notify=told.append)
    real, seen = module.run_tiles, []

    def short_of_memory(runtime: Runtime, padded: torch.Tensor, plan: TilePlan, *rest: Any) -> object:
        seen.append(plan.tile)
        if plan.tile == (0, 0) or max(plan.tile) > 40:
            raise torch.OutOfMemoryError("made up")
        return real(runtime, padded, plan, *rest)

    monkeypatch.setattr(module, "run_tiles", short_of_memory)
    assert np.abs(upscale(engine, x) - wanted).max() < 2e-5
    assert seen == [(0, 0), (50, 60), (32, 32)]
    assert told[1:] == [
        "out of memory on cpu: tile 120x100 -> 60x50, features kept without skips",
        "out of memory on cpu: tile 60x50 -> 32x32, features kept without skips",
    ]


def test_what_worked_after_an_out_of_memory_is_where_the_next_process_starts(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.ascontiguousarray(picture[:, :100, :120])
    real, seen = module.run_tiles, []

    def short_of_memory(runtime: Runtime, padded: torch.Tensor, plan: TilePlan, *rest: Any) -> object:
        seen.append(plan.tile)
        if max(plan.tile) > 60 or plan.tile == (0, 0):
            raise torch.OutOfMemoryError("made up")
        return real(runtime, padded, plan, *rest)

    monkeypatch.setattr(module, "run_tiles", short_of_memory)
    told: list[str] = []
    for _ in range(2):
        upscale(Engine(validate(tile=0), notify=told.append), x)
    assert seen == [(0, 0), (50, 60), (50, 60)]
    assert told[-1] == (
        "tile: 60x50 of 120x100, features kept without skips (what worked after an earlier out-of-memory on cpu)"
    )


def test_no_room_for_the_smallest_tile(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise torch.OutOfMemoryError("made up")

    monkeypatch.setattr(module, "run_tiles", never)
    with pytest.raises(DeviceError) as error:
        upscale(Engine(validate(tile=32)), np.ascontiguousarray(picture[:, :64, :64]))
    assert str(error.value) == (
        "cpu must have room for a tile of 32 px, got out of memory; "
        "close other programs, lower streams, or use device=cpu"
    )


@pytest.mark.usefixtures("every_precision")
def test_nan_in_fp16_is_computed_again_in_fp32(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ascontiguousarray(picture[:, :48, :64])
    wanted = upscale(Engine(validate(tile=0, backend="torch")), x)
    told: list[str] = []
    engine = Engine(validate(tile=0, precision="bf16", backend="torch"), notify=told.append)
    real = module.run_tiles

    def overflows(runtime: Runtime, *rest: Any) -> object:
        return real(runtime, *rest) if runtime.dtype == torch.float32 else None

    monkeypatch.setattr(module, "run_tiles", overflows)
    assert np.array_equal(upscale(engine, x), wanted)
    assert told[1:] == ["frame 0 gave NaN or Inf in bf16; it was computed again in fp32"]


def torch_runtime() -> Runtime:
    """2x on the CPU."""
    weights = load_released(find(model="se", scale=2, noise="no-denoise"))
    return shared_runtime("torch", weights, torch.device("cpu"), "fp32")


def openvino_runtime() -> Runtime:
    """2x on the CPU, which takes whole frames where it can."""
    weights = load_released(find(model="se", scale=2, noise="no-denoise"))
    return shared_runtime("openvino", weights, torch.device("cpu"), "fp32")


def test_the_plan_follows_the_budget() -> None:
    runtime = openvino_runtime()
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
    assert choose_plan(torch_runtime(), 1080, 1920, Budget(device=64 << 30, host=None)).tile == (128, 128)


def test_a_named_tile_stays_and_its_features_follow_the_budget() -> None:
    on_host = openvino_runtime()
    on_gpu: Any = SimpleNamespace(
        architecture=on_host.architecture, dtype=torch.float32, device=torch.device("cuda"), preferred_tile_px=0
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


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_a_gpu_has_memory_of_its_own(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getattr(torch, kind), "mem_get_info", lambda device: (device.index + 5, 99))
    assert free_bytes(torch.device(kind, 2)) == 7

    def fails(device: torch.device) -> None:
        raise RuntimeError("The device doesn't support querying the available free memory")

    monkeypatch.setattr(getattr(torch, kind), "mem_get_info", fails)  # an integrated one
    assert free_bytes(torch.device(kind, 2)) > 1 << 20


def test_memory_of_the_leanest_plan_does_not_grow_with_the_frame() -> None:
    architecture, plan = ARCHITECTURES["upcunet-2x"], TilePlan(tile=(256, 256), storage=FeatureStorage.RECOMPUTE)
    small, large = (
        working_bytes(architecture, *size, plan, 4)
        + stored_bytes(architecture, *size, plan, 4)
        - 12 * size[0] * size[1]
        for size in ((720, 1280), (2160, 3840))
    )
    assert large < 1.1 * small


def test_a_named_memory_bounds_the_plan(picture: np.ndarray) -> None:
    told: list[str] = []
    engine = Engine(validate(memory=400, backend="openvino", streams=2), notify=told.append)
    upscale(engine, np.ascontiguousarray(picture[:, :180, :320]))
    assert told == ["tile: 128x128 of 320x180, features kept without skips (chosen for 400 MiB of memory on cpu)"]
    plan = engine.passes[0].planner._plan
    assert plan == choose_plan(openvino_runtime(), 180, 320, Budget(device=200 << 20, host=None))


@pytest.mark.parametrize("storage", [FeatureStorage.LEAN, FeatureStorage.HOST, FeatureStorage.RECOMPUTE])
@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_where_features_wait_changes_nothing(
    scale: int, backend: str, storage: FeatureStorage, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HOST is the path of a GPU short of memory; on the CPU host and device are one."""
    x = np.ascontiguousarray(picture[:, 100:163, 200:297])
    wanted = upscale(Engine(validate(tile=0, scale=scale, alpha=0.9)), x)
    engine = Engine(validate(tile=(48, 32), scale=scale, alpha=0.9, backend=backend))
    seen = []
    real = module.run_tiles

    def watched(runtime: Runtime, padded: torch.Tensor, plan: TilePlan, *rest: Any) -> object:
        seen.append(plan)
        return real(runtime, padded, plan, *rest)

    monkeypatch.setattr(planner, "choose_plan", lambda *_: TilePlan(tile=(32, 48), storage=storage))
    monkeypatch.setattr(module, "run_tiles", watched)
    assert np.abs(upscale(engine, x) - wanted).max() < 2e-5
    assert seen == [TilePlan(tile=(32, 48), storage=storage)]


@pytest.mark.usefixtures("every_precision")
def test_weights_that_overflow_fp16_still_give_the_picture(picture: np.ndarray, tmp_path: Path) -> None:
    """One layer's output scaled by 2^16 and the next layer's input by 2^-16: the same network, but not in fp16."""
    tensors = dict(load_released(find(model="se", scale=2, noise="no-denoise")).tensors)
    for kind in ("weight", "bias"):
        tensors[f"unet1.conv1.conv.0.{kind}"] = tensors[f"unet1.conv1.conv.0.{kind}"] * 2.0**16
    tensors["unet1.conv1.conv.2.weight"] = tensors["unet1.conv1.conv.2.weight"] * 2.0**-16
    path = tmp_path / "overflows.pth"
    torch.save(tensors, path)
    x = np.ascontiguousarray(picture[:, :48, :64])
    told: list[str] = []
    engine = Engine(validate(weights=str(path), precision="fp16", backend="torch", tile=0), notify=told.append)
    path.write_bytes(b"another file, hours later")
    got = upscale(engine, x)
    assert np.abs(got - upscale(Engine(validate(tile=0)), x)).max() < 2e-5
    assert told[1:] == ["frame 0 gave NaN or Inf in fp16; it was computed again in fp32"]
