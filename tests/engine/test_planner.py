"""Plans: what is said about them, and what becomes of one that ran out of memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from support.frames import upscale

from vscugan.engine.engine import Engine
from vscugan.engine.plan_choice import Budget, choose_plan
from vscugan.errors import DeviceError
from vscugan.runtime.device import Adapter, Device
from vscugan.settings import validate


def test_a_named_memory_bounds_the_plan(picture: np.ndarray) -> None:
    notes: list[str] = []
    engine = Engine(validate(memory=400, backend="openvino", streams=2), notify=notes.append)
    upscale(engine, np.ascontiguousarray(picture[:, :180, :320]))
    assert notes == ["tile: 128x128 of 320x180, features kept without skips (chosen for 400 MiB of memory on cpu)"]
    plan = engine.passes[0].planner._plan
    assert plan == choose_plan(engine.passes[0].runtime, 180, 320, Budget(device=200 << 20, host=None))


def test_what_worked_after_an_out_of_memory_is_where_the_next_process_starts(
    picture: np.ndarray, short_of_memory: Callable[[int], list[tuple[int, int]]]
) -> None:
    x = np.ascontiguousarray(picture[:, :100, :120])
    tried = short_of_memory(60)
    notes: list[str] = []
    for _ in range(2):
        upscale(Engine(validate(tile=0), notify=notes.append), x)
    assert tried == [(0, 0), (50, 60), (50, 60)]
    assert notes[-1] == (
        "tile: 60x50 of 120x100, features kept without skips (what worked after an earlier out-of-memory on cpu)"
    )


def test_no_room_for_the_smallest_tile(
    picture: np.ndarray, short_of_memory: Callable[[int], list[tuple[int, int]]]
) -> None:
    short_of_memory(0)
    with pytest.raises(DeviceError) as error:
        upscale(Engine(validate(tile=32)), np.ascontiguousarray(picture[:, :64, :64]))
    assert str(error.value) == (
        "cpu must have room for a tile of 32 px, got out of memory; "
        "close other programs, lower streams, or use device=cpu"
    )


def test_what_worked_is_of_one_gpu_and_its_driver() -> None:
    engine = Engine(validate())
    planner, situations = engine.passes[0].planner, set()
    for nth, driver in ((0, "radv Mesa 25.0.7"), (1, "radv Mesa 25.0.7"), (0, "radv Mesa 26.0.0")):
        planner._device = Device("gpu", 0, Adapter(name="Card 9000", nth=nth, driver=driver))
        situations.add(planner._situation(64, 48))
    assert len(situations) == 3


def test_too_little_memory_is_said(picture: np.ndarray) -> None:
    """RRDBNet's smallest window is 32 px and 64 px around it; a network of one stage has no features to keep."""
    notes: list[str] = []
    engine = Engine(validate(model="realesrgan-anime", memory=64, backend="torch"), notify=notes.append)
    engine.passes[0].planner.plan_for(170, 170)
    assert notes == ["tile: 32x32 of 170x170 (chosen for 64 MiB of memory, which is about 242 MiB too little on cpu)"]


def test_what_worked_is_of_one_halo() -> None:
    engines = [Engine(validate(model="realesrgan-anime", halo=halo)) for halo in (8, 16, None)]
    assert len({engine.passes[0].planner._situation(64, 48) for engine in engines}) == 3


def test_inexact_tiles_are_reported(picture: np.ndarray) -> None:
    x = np.ascontiguousarray(picture[:, 100:116, 200:264])
    for arguments, halo in (
        ({"model": "realesrgan-anime", "halo": 4, "tile": 32}, "4 px around 32x16"),
        ({"model": "realesrgan-anime", "tile": 0}, None),
        ({"model": "realesrgan-animevideo", "tile": 32}, None),
    ):
        engine = Engine(validate(backend="torch", **arguments))
        upscale(engine, x)
        assert engine.report().get("CuganHalo") == halo
