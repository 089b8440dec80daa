"""Which runtime computes while another builds its engines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from support.frames import upscale
from support.slow_runtime import SlowRuntime, is_slow

from vscugan.engine import network_pass, standby
from vscugan.engine.engine import Engine
from vscugan.runtime import BACKENDS
from vscugan.settings import validate
from vscugan.tiling.geometry import Rectangle, Span


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(BACKENDS, "slow", "support.slow_runtime")
    monkeypatch.setattr(standby, "GRACE_S", 0.0)
    monkeypatch.setattr(standby, "_waits", threading.Event())
    yield
    with standby._one_build:
        pass  # no build goes on in the next test


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Builds go on until this is set."""
    go_on = threading.Event()
    monkeypatch.setattr(SlowRuntime, "build", staticmethod(lambda: go_on.wait(60)))
    yield go_on
    go_on.set()


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def x(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture[:, 100:148, 200:264])


def engine_of(notes: list[str], **arguments: object) -> Engine:
    engine = Engine(validate(backend="slow", **arguments), notify=notes.append)
    notes.clear()
    return engine


def computes(engine: Engine, x: np.ndarray) -> str:
    plain = upscale(Engine(validate(backend="torch", tile=0, precision="fp32")), x)
    return "slow" if is_slow(torch.from_numpy(upscale(engine, x)), torch.from_numpy(plain)) else "torch"


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def without_tiles(notes: list[str]) -> list[str]:
    return [note for note in notes if not note.startswith("tile:")]


def test_another_runtime_computes_until_the_engine_is_there(
    x: np.ndarray, held: threading.Event, notes: list[str]
) -> None:
    engine = engine_of(notes, tile=0)
    assert [computes(engine, x) for _ in range(3)] == ["torch"] * 3
    assert engine.report()["CuganRuntime"] == "torch"
    said = ["slow builds an engine for 64x48, which may take minutes: torch computes meanwhile"]
    assert without_tiles(notes) == said
    held.set()
    until(lambda: computes(engine, x) == "slow")
    assert [computes(engine, x) for _ in range(2)] == ["slow"] * 2
    assert engine.report()["CuganRuntime"] == "slow"
    said.append("slow computes from now on: its engine for 64x48 was built within 0 s")
    assert [note[:60] for note in without_tiles(notes)] == [line[:60] for line in said]


def test_an_engine_that_was_kept_is_waited_for(
    x: np.ndarray, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby, "GRACE_S", 60.0)
    engine = engine_of(notes, tile=0)
    assert computes(engine, x) == "slow"
    assert without_tiles(notes) == []


def test_nobody_waits_for_a_build_behind_another_one(
    x: np.ndarray, held: threading.Event, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(notes, tile=0)
    assert computes(engine, x) == "torch"
    until(standby._one_build.locked)
    monkeypatch.setattr(standby, "GRACE_S", 60.0)
    start = time.monotonic()
    assert [computes(engine, np.ascontiguousarray(x[:, :, :width])) for width in (32, 40)] == ["torch"] * 2
    assert time.monotonic() - start < 30


def test_a_build_that_fails_is_reported_once(x: np.ndarray, notes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(standby, "GRACE_S", 60.0)
    monkeypatch.setattr(SlowRuntime, "build", staticmethod(fails))
    engine = engine_of(notes, tile=0)
    assert [computes(engine, x) for _ in range(2)] == ["torch"] * 2
    assert without_tiles(notes) == ["slow could not build an engine for 64x48: no such kernel; torch computes"]


def test_where_bits_must_repeat_nothing_else_computes(x: np.ndarray, held: threading.Event, notes: list[str]) -> None:
    standby.wait_for_engines()
    engine = engine_of(notes, tile=0)
    threading.Timer(0.2, held.set).start()
    assert computes(engine, x) == "slow"
    assert without_tiles(notes)[:1] == ["slow builds an engine for 64x48, which may take minutes: frames wait for it"]


def test_where_bits_must_repeat_a_build_that_fails_ends_it(
    x: np.ndarray, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(SlowRuntime, "build", staticmethod(fails))
    standby.wait_for_engines()
    engine = engine_of(notes, tile=0)
    with pytest.raises(RuntimeError, match="no such kernel"):
        upscale(engine, x)


def test_a_frame_in_tiles_is_of_one_runtime(
    picture: np.ndarray, held: threading.Event, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its engine is ready in the middle of the frame; the next frame has it."""
    x = np.ascontiguousarray(picture[:, 100:164, 200:264])
    engine = engine_of(notes, tile=32)
    (slot,) = engine.slots_by_device[0]
    chosen = slot.passes[0]._standby
    assert chosen is not None
    real, stages = type(chosen.quick).run_stage, list[int]()

    def run_stage(self: SlowRuntime, k: int, *rest: object) -> object:
        if self is chosen.quick:
            stages.append(k)
            if len(stages) == 3:
                held.set()
                until(lambda: all(build.done.is_set() for build in chosen._builds.values()))
        return real(self, k, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(type(chosen.quick), "run_stage", run_stage)
    plain = torch.from_numpy(upscale(Engine(validate(backend="torch", tile=32)), x))
    stages.clear()
    assert torch.equal(torch.from_numpy(upscale(engine, x)), plain)
    assert len(stages) == 20
    assert is_slow(torch.from_numpy(upscale(engine, x)), plain)
    assert len(stages) == 20


def test_frames_at_once_are_each_of_one_runtime(picture: np.ndarray, held: threading.Event, notes: list[str]) -> None:
    frames = [np.ascontiguousarray(picture[:, 100 + n : 132 + n, 200:232]) for n in range(24)]
    plain = Engine(validate(backend="torch", tile=0))
    wanted = [torch.from_numpy(upscale(plain, x)) for x in frames]
    engine = engine_of(notes, tile=0, streams=3)

    def run(n: int) -> bool:
        if n == 8:
            held.set()
        return is_slow(torch.from_numpy(upscale(engine, frames[n])), wanted[n])

    with ThreadPoolExecutor(4) as pool:
        slow = list(pool.map(run, range(len(frames))))
    assert not slow[0]
    until(lambda: run(23))
    assert len(without_tiles(notes)) == 2


def test_parts_of_frames_are_not_worth_an_engine(x: np.ndarray, notes: list[str]) -> None:
    standby.wait_for_engines()
    engine = engine_of(notes, tile=0)
    pictures, gates = engine.render(x)
    whole = pictures[0].copy()
    area = Rectangle(rows=Span(start=8, stop=24), columns=Span(start=8, stop=40))
    engine.repaint(pictures, x, [area], gates)
    plain, _ = Engine(validate(backend="torch", tile=0)).render(x)
    inside = area.enlarged(2).index
    assert np.abs(pictures[0][:, *inside] - plain[0][:, *inside]).max() < 2e-5
    assert np.abs(pictures[0] - whole)[:, :16].max() == 0
    assert engine.report()["CuganRuntime"] == "slow"


@pytest.mark.usefixtures("every_precision")
def test_a_frame_that_overflows_is_not_worth_an_engine(
    x: np.ndarray, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby, "GRACE_S", 60.0)
    standby.wait_for_engines()
    real = network_pass.run_tiles

    def overflows(runtime: SlowRuntime, *rest: object) -> object:
        return real(runtime, *rest) if runtime.arrays.item_bytes == 4 else None  # type: ignore[arg-type]

    monkeypatch.setattr(network_pass, "run_tiles", overflows)
    engine = engine_of(notes, tile=0, precision="bf16")
    assert computes(engine, x) == "torch"
    assert engine.report()["CuganRuntime"] == "torch"
    assert without_tiles(notes) == ["frame 0 gave NaN or Inf in bf16; it was computed again in fp32"]
