"""Frames on CUDA, by graphs, streams and page-locked memory: on a GPU where there is one, else on its stand-in.

What a stand-in can't show is skipped without a GPU.
"""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from support.cuda_stand_in import stand_in
from support.frames import psnr, upscale

from vscugan.engine import engine as engine_module
from vscugan.engine import network_pass, slots
from vscugan.engine.engine import Engine
from vscugan.engine.memory import release_memory
from vscugan.engine.route import find_route
from vscugan.errors import FrameError
from vscugan.runtime import cuda_graphs
from vscugan.runtime.cuda_graphs import FRAMES_BEFORE_CAPTURE
from vscugan.runtime.torch_arrays import TorchArrays
from vscugan.runtime.torch_runtime import TorchRuntime
from vscugan.runtime.torch_transfer import PinnedTransfer, pinned
from vscugan.settings import validate
from vscugan.tiling.geometry import Rectangle, Span

TORCH = tuple(map(int, torch.__version__.split(".")[:2]))
HAS_CUDA = torch.cuda.is_available()
on_a_gpu = pytest.mark.skipif(not HAS_CUDA, reason="needs a CUDA device")
DEVICE = "cuda:0" if HAS_CUDA else "cpu"
#: After so many frames one after the other, each of two slots has had enough of them.
WARM = 2 * FRAMES_BEFORE_CAPTURE + 1

type Make = Callable[..., Engine]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """make(graphs=True, **options): an engine for torch on CUDA, or on what stands in for it."""
    gc.collect()
    cuda_graphs._warn_once.cache_clear()
    if HAS_CUDA:
        yield _engine
        return
    with stand_in(monkeypatch):
        monkeypatch.setattr(TorchArrays, "new_transfer", lambda self: PinnedTransfer(self.device))
        monkeypatch.setattr(engine_module, "new_stream", lambda device: torch.cuda.Stream())  # type: ignore[no-untyped-call]
        yield _engine
        for runtime in list(network_pass._runtimes.values()):  # somebody may have them still
            if isinstance(runtime, TorchRuntime):
                runtime.uses_graphs = False


def _engine(*, graphs: bool = True, notify: Callable[[str], None] = lambda text: None, **options: Any) -> Engine:
    settings = validate(**({"backend": "torch", "device": DEVICE, "tile": 0, "streams": 2} | options))
    passes = find_route(settings, (40, 32), (240, 192)) if options.get("scale") == 6 else None
    engine = Engine(settings, passes, notify=notify)
    for network in engine.passes:
        runtime = network.runtime
        assert isinstance(runtime, TorchRuntime)
        runtime.uses_graphs = graphs
    return engine


def frames_of(picture: np.ndarray, count: int, height: int = 32, width: int = 40) -> list[np.ndarray]:
    return [
        np.ascontiguousarray(picture[:, 100 + n : 100 + n + height, 200 + 2 * n : 200 + 2 * n + width])
        for n in range(count)
    ]


def graphs_of(engine: Engine) -> list[int]:
    """How many graphs each slot has."""
    found = [cuda_graphs._slots.get(slot.workspace) for of_device in engine.slots_by_device for slot in of_device]
    return [len(each.graphs) if each else 0 for each in found]


def in_threads(engine: Engine, frames: list[np.ndarray], threads: int = 4) -> list[np.ndarray]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(partial(upscale, engine), frames))


def until_both_have_graphs(engine: Engine, frames: list[np.ndarray]) -> list[np.ndarray]:
    """The last results of the frames, which are computed until each slot has had its share."""
    for _ in range(20):
        got = in_threads(engine, frames)
        if graphs_of(engine) == [1, 1]:
            break
    assert graphs_of(engine) == [1, 1]
    return got


@pytest.mark.parametrize("precision", ["fp32", pytest.param("fp16", marks=on_a_gpu)])
def test_frames_by_graphs_have_the_bits_of_frames_without(precision: str, make: Make, picture: np.ndarray) -> None:
    frames = frames_of(picture, WARM + 3)
    plain = make(graphs=False, precision=precision)
    wanted = [upscale(plain, x) for x in frames]
    assert graphs_of(plain) == [0, 0]
    engine = make(precision=precision)
    got = until_both_have_graphs(engine, frames) + in_threads(engine, frames)
    assert all(np.array_equal(a, b) for a, b in zip(got, wanted * 2, strict=True))


def test_engines_side_by_side_do_not_spoil_each_others_captures(make: Make, picture: np.ndarray) -> None:
    """Others upload, download, load models and free memory while graphs are captured and replayed."""
    small, large = frames_of(picture, WARM + 8), frames_of(picture, WARM + 8, 48, 40)
    plain = make(graphs=False)
    wanted = [[upscale(plain, x) for x in frames] for frames in (small, large)]
    engines = [make(), make()]

    def others(n: int) -> None:
        upscale(make(noise=("denoise1x", "denoise2x", "denoise3x")[n % 3]), small[n % 3])

    with ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(in_threads, engine, frames, 2) for engine, frames in zip(engines, (small, large), strict=True)
        ]
        for n in range(6):
            pool.submit(others, n).result()
        got = [job.result() for job in jobs]
    for a, b in zip(got, wanted, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert all(sum(graphs_of(engine)) >= 1 for engine in engines)


def test_given_gates_parts_and_several_passes(make: Make, picture: np.ndarray) -> None:
    x, *rest = frames_of(picture, FRAMES_BEFORE_CAPTURE + 2)
    area = Rectangle(rows=Span(start=8, stop=24), columns=Span(start=8, stop=32))
    results = []
    for graphs in (False, True):  # one after the other: they share their runtime
        engine = make(graphs=graphs, streams=1, scale=6)
        for each in rest:
            wholes, gates = engine.render(each)
        for each in rest:
            pictures, _ = engine.render(each, gates=gates)
            engine.repaint(pictures, x, [area], gates)
        results.append([*wholes, *pictures, *(gate for of_pass in gates for gate in of_pass)])
    assert len(engine.passes) == 2
    assert graphs_of(engine) == [4]  # of each pass with its own gates and with given ones; none of parts
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_out_of_memory_frees_the_graphs_of_all_slots(make: Make, picture: np.ndarray) -> None:
    frames, engine = frames_of(picture, WARM + 3), make()
    before = until_both_have_graphs(engine, frames)
    if HAS_CUDA:
        assert release_memory(engine.slots_by_device[0][0].device)
    else:
        assert cuda_graphs.release_graphs(torch.device("cpu"))
    assert graphs_of(engine) == [0, 0]
    assert all(np.array_equal(a, b) for a, b in zip(in_threads(engine, frames), before, strict=True))
    assert graphs_of(engine) == [0, 0]


@pytest.mark.skipif(HAS_CUDA and TORCH < (2, 13), reason="torch does not recover: nothing is captured afterwards")
def test_a_capture_that_fails_spoils_no_frame(
    make: Make, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = TorchRuntime.whole_network

    def waits(self: TorchRuntime, padded: torch.Tensor, *rest: Any) -> Any:
        padded.sum().item()
        return real(self, padded, *rest)

    frames = frames_of(picture, WARM + 3)
    plain = make(graphs=False)
    wanted = [upscale(plain, x) for x in frames]
    monkeypatch.setattr(TorchRuntime, "whole_network", waits)
    engine = make()
    got = in_threads(engine, frames) + in_threads(engine, frames)
    assert graphs_of(engine) == [0, 0]
    assert all(np.array_equal(a, b) for a, b in zip(got, wanted * 2, strict=True))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "CUDA graphs must be captured" in caplog.text
    assert not cuda_graphs.release_graphs(torch.device(DEVICE))


def test_after_a_frame_that_fails_the_next_is_right(make: Make, picture: np.ndarray) -> None:
    frames, engine = frames_of(picture, WARM), make(streams=1, precision="fp32")
    wanted = [upscale(engine, x) for x in frames]
    for x, y in zip(frames, wanted, strict=True):
        with pytest.raises(FrameError):
            upscale(engine, np.full_like(x, np.nan))
        assert np.array_equal(upscale(engine, x), y)


@on_a_gpu
def test_memory_for_transfers_is_page_locked() -> None:
    assert pinned(1000).is_pinned()


@on_a_gpu
def test_fp16_is_close_to_the_cpu(make: Make, picture: np.ndarray) -> None:
    x = frames_of(picture, 1, 96, 128)[0]
    on_cpu = upscale(Engine(validate(backend="torch", device="cpu", tile=0)), x)
    assert psnr(upscale(make(precision="fp16"), x), on_cpu) > 50
    assert np.abs(upscale(make(precision="fp32"), x) - on_cpu).max() < 1e-4


@on_a_gpu
def test_memory_does_not_grow_and_goes_with_the_engine(make: Make, picture: np.ndarray) -> None:
    gc.collect()
    torch.cuda.empty_cache()
    before, frames = torch.cuda.memory_reserved(), frames_of(picture, WARM + 3, 128, 160)
    engine = make()
    until_both_have_graphs(engine, frames)
    held = torch.cuda.memory_reserved()
    for _ in range(3):
        in_threads(engine, frames)
    assert torch.cuda.memory_reserved() <= held
    del engine
    gc.collect()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() - before < 16 << 20


@on_a_gpu
def test_a_gpu_that_is_full_takes_smaller_tiles(make: Make, picture: np.ndarray) -> None:
    x, notes = frames_of(picture, 1, 240, 320)[0], list[str]()
    wanted = upscale(make(precision="fp32"), x)
    engine = make(precision="fp32", streams=1, notify=notes.append)
    upscale(engine, x)
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    try:
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (96 << 20)) / total)
        got = upscale(engine, x)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any(note.startswith("out of memory on cuda:0: tile") for note in notes)
    assert np.abs(got - wanted).max() < 2e-5


@on_a_gpu
@pytest.mark.parametrize("end", ["", "os._exit(0)"])
def test_a_process_with_graphs_ends_without_a_word(end: str) -> None:
    code = f"""
import os
import numpy as np
from vscugan.engine.engine import Engine
from vscugan.settings import validate
engine = Engine(validate(backend="torch", device="cuda:0", tile=0, streams=1))
out = np.empty((3, 64, 80), np.float32)
for n in range({WARM}):
    engine.upscale(np.full((3, 32, 40), 0.1 + n / 100, np.float32), list(out))
from vscugan.runtime import cuda_graphs
print([len(slot.graphs) for slot in cuda_graphs._slots.values()], flush=True)
{end}
"""
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "[1]\n", "")


@pytest.mark.skipif(not HAS_CUDA or find_spec("tensorrt") is None, reason="needs TensorRT")
def test_tensorrt_takes_over_and_loads_what_it_has_built(picture: np.ndarray) -> None:
    x, notes = frames_of(picture, 1)[0], list[str]()
    engine = Engine(validate(backend="tensorrt", device=DEVICE, tile=0, precision="fp16"), notify=notes.append)
    end = time.monotonic() + 300
    while engine.report()["CuganRuntime"] != "tensorrt":
        got = upscale(engine, x)
        assert time.monotonic() < end, notes
    assert psnr(got, upscale(Engine(validate(backend="torch", device="cpu", tile=0)), x)) > 50
    code = """
import numpy as np
from vscugan.engine.engine import Engine
from vscugan.settings import validate
engine = Engine(validate(backend="tensorrt", device="cuda:0", tile=0, precision="fp16"))
engine.upscale(np.zeros((3, 32, 40), np.float32), list(np.empty((3, 64, 80), np.float32)))
print(engine.report()["CuganRuntime"])
"""
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "tensorrt\n"  # within the time that a kept engine may take


@on_a_gpu
def test_copies_run_beside_computing(make: Make, picture: np.ndarray) -> None:
    """Two slots take less time than their copies and kernels one after the other."""
    frames = frames_of(picture, 24, 200, 240)
    engines = {streams: make(streams=streams) for streams in (1, 2)}
    times: dict[int, float] = {}
    for streams, engine in engines.items():
        for _ in range(2):
            in_threads(engine, frames)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        in_threads(engine, frames)
        torch.cuda.synchronize()
        end.record()
        end.synchronize()
        times[streams] = start.elapsed_time(end)
    assert times[2] < times[1]
    assert slots.new_stream(engines[2].slots_by_device[0][0].device) is not None
