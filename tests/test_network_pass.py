"""One pass of the network: memory plan, recovery, precision fallback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import psnr, upscale

from vscugan import network_pass as module
from vscugan.engine import Engine
from vscugan.errors import DeviceError
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.network import ARCHITECTURES
from vscugan.network_pass import choose_plan
from vscugan.settings import validate
from vscugan.tiling.run import Plan, waiting_bytes, working_bytes


def test_out_of_memory_halves_the_tile_and_loses_no_frame(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ascontiguousarray(picture[:, :100, :120])
    wanted = upscale(Engine(validate(tile=0)), x)
    told: list[str] = []
    engine = Engine(validate(tile=0), notify=told.append)
    real, seen = module.run, []

    def short_of_memory(
        runtime: object, padded: torch.Tensor, size: tuple[int, int], plan: Plan, *rest: object
    ) -> object:
        seen.append(plan.tile)
        if plan.tile == (0, 0) or max(plan.tile) > 40:
            raise torch.OutOfMemoryError("made up")
        return real(runtime, padded, size, plan, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "run", short_of_memory)
    assert np.abs(upscale(engine, x) - wanted).max() < 2e-5
    assert seen == [(0, 0), (50, 60), (32, 32)]
    assert told == [
        "out of memory on cpu: tile 120x100 -> 60x50, features wait on the device",
        "out of memory on cpu: tile 60x50 -> 32x32, features wait on the device",
    ]


def test_no_room_for_the_smallest_tile(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise torch.OutOfMemoryError("made up")

    monkeypatch.setattr(module, "run", never)
    with pytest.raises(DeviceError) as error:
        upscale(Engine(validate(tile=32)), np.ascontiguousarray(picture[:, :64, :64]))
    assert str(error.value) == (
        "cpu must have room for a tile of 32 px, got out of memory; "
        "close other programs, lower streams, or use device=cpu"
    )


def test_nan_in_fp16_is_computed_again_in_fp32(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ascontiguousarray(picture[:, :48, :64])
    wanted = upscale(Engine(validate(tile=0, backend="torch")), x)
    told: list[str] = []
    engine = Engine(validate(tile=0, precision="bf16", backend="torch"), notify=told.append)
    real = module.run

    def overflows(runtime: module.Runtime, *rest: object) -> tuple[torch.Tensor, torch.Tensor]:
        y, finite = real(runtime, *rest)  # type: ignore[arg-type]
        return y, finite if runtime.dtype == torch.float32 else torch.tensor(False)

    monkeypatch.setattr(module, "run", overflows)
    assert np.array_equal(upscale(engine, x), wanted)
    assert told == ["frame 0 gave NaN or Inf in bf16; it was computed again in fp32"]


def test_the_plan_follows_the_budget() -> None:
    architecture = ARCHITECTURES[2]
    tiles = []
    for budget in (64 << 30, 4 << 30, 3 << 30, 1):
        plan = choose_plan(architecture, 1080, 1920, budget, 4)
        tile = (min(plan.tile[0] or 1080, 1080), min(plan.tile[1] or 1920, 1920))
        if budget > 1:
            need = waiting_bytes(architecture, 1080, 1920, plan, 4) + working_bytes(architecture, tile, 4)
            assert need <= budget
        tiles.append(plan.tile)
    assert tiles[0] == (0, 0)
    assert tiles[-1] == (32, 32)


def test_a_named_memory_bounds_the_plan(picture: np.ndarray) -> None:
    told: list[str] = []
    engine = Engine(validate(memory=64, backend="openvino", streams=2), notify=told.append)
    upscale(engine, np.ascontiguousarray(picture[:, :180, :320]))
    assert told == ["tile: 32 px of 320x180, skips computed again (left out, chosen for 64 MiB of memory on cpu)"]
    plan = engine.passes[0]._plan
    assert plan is not None
    assert plan == choose_plan(ARCHITECTURES[2], 180, 320, 32 << 20, 4)


def test_features_that_wait_on_the_host_change_nothing(picture: np.ndarray) -> None:
    """The path that a GPU short of memory takes; on the CPU host and device are one."""
    x = np.ascontiguousarray(picture[:, :64, :96])
    engine = Engine(validate(tile=32))
    wanted = upscale(engine, x)
    engine.passes[0]._plan, engine.passes[0]._plan_size = Plan(tile=(32, 32), keep_skips=False, on_host=True), (64, 96)
    assert psnr(upscale(engine, x), wanted) == 200


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
    got = upscale(Engine(validate(weights=str(path), precision="fp16", tile=0), notify=told.append), x)
    assert np.abs(got - upscale(Engine(validate(tile=0)), x)).max() < 2e-5
    assert told == ["frame 0 gave NaN or Inf in fp16; it was computed again in fp32"]
