"""ncnn: on the CPU, and by Vulkan where there is an adapter, be it in software."""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import pytest
import torch
from support.frames import psnr, upscale

from vscugan.engine.engine import Engine
from vscugan.engine.network_pass import is_out_of_memory
from vscugan.engine.plan_choice import Budget, choose_plan
from vscugan.errors import DeviceError
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.runtime import ncnn_memory, ncnn_runtime
from vscugan.runtime.backends import backend_row
from vscugan.runtime.device import CPU, Adapter, Device
from vscugan.runtime.ncnn_memory import Memory, allocator_class
from vscugan.runtime.ncnn_runtime import (
    NcnnRuntime,
    NcnnVulkanRuntime,
    _listed_by_ncnn,
    _make,
    _values,
    _without_chatter,
    adapters,
)
from vscugan.runtime.ncnn_writer import Writer
from vscugan.runtime.protocol import PassOptions
from vscugan.runtime.workspace import Workspace
from vscugan.settings import validate
from vscugan.tiling.tile_plan import FeatureStorage

needs_adapter = pytest.mark.skipif(not adapters(), reason="Vulkan lists no adapter here")
ON_GPU = {"backend": "ncnn", "device": "gpu:0"}


def engine(**arguments: Any) -> Engine:
    return Engine(validate(noise="conservative", **arguments))


def ncnn_of(of: Engine) -> NcnnRuntime:
    runtime = of.passes[0].runtime
    assert isinstance(runtime, NcnnRuntime)
    return runtime


@pytest.mark.parametrize(
    ("model", "scale", "alpha"), [("se", 2, 1.3), ("se", 3, 1.0), ("se", 4, 0.7), ("pro", 2, 1.0), ("pro", 3, 1.2)]
)
def test_it_computes_what_torch_computes(model: str, scale: int, alpha: float, picture: np.ndarray) -> None:
    """Whole frames, and tiles by stages; at odd sizes."""
    x = np.ascontiguousarray(picture[:, 100:161, 200:297])
    arguments = {"model": model, "scale": scale, "alpha": alpha}
    expected = upscale(engine(backend="torch", tile=0, **arguments), x)
    for tile, graphs in ((0, 1), (32, 6)):
        computes = engine(backend="ncnn", tile=tile, **arguments)
        for _ in range(2):  # the second has its memory in one block
            assert psnr(upscale(computes, x), expected) > 115
        assert len(ncnn_of(computes)._sessions) == graphs


def test_gates_are_returned_and_taken(picture: np.ndarray) -> None:
    x = np.ascontiguousarray(picture[:, 100:148, 200:264])
    computes, out = engine(backend="ncnn", tile=0, alpha=1.2), np.empty((2, 3, 96, 128), np.float32)
    gates = computes.upscale(x, list(out[0]), with_gates=True)
    torchs = engine(backend="torch", tile=0, alpha=1.2).upscale(x, list(out[1]), with_gates=True)
    for ours, theirs in zip(gates[0], torchs[0], strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)
    computes.upscale(x, list(out[1]), gates=gates)
    assert np.abs(out[0] - out[1]).max() < 1e-6


def test_frames_at_once_have_the_same_bits_in_any_order(picture: np.ndarray) -> None:
    """Many sizes, four threads, two runtimes of two frames in flight each."""
    sizes = [(9 + 7 * (k % 5), 16 + 5 * (k % 7)) for k in range(24)]
    frames = [np.ascontiguousarray(picture[:, 100 : 100 + h, 200 + k : 200 + k + w]) for k, (h, w) in enumerate(sizes)]
    engines = [engine(backend="ncnn", scale=scale, streams=2, tile=32) for scale in (2, 3)]
    jobs = [(each, frame) for frame in frames for each in engines]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: upscale(*job), jobs))
    for k in range(len(jobs) - 1, -1, -5):
        assert np.array_equal(together[k], upscale(*jobs[k]))


def test_its_threads_are_the_cores_that_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ncnn_runtime, "cpu_threads", lambda: 1)
    made: list[Any] = []

    class Net(importlib.import_module("ncnn").Net):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    runtime = NcnnRuntime(load_released(find(model="se", scale=2, noise="conservative")))
    monkeypatch.setattr("ncnn.Net", Net)
    runtime.run_network(np.zeros((1, 3, 68, 68), np.float32), Workspace(), PassOptions())
    assert [net.opt.num_threads for net in made] == [1]


def test_memory_of_a_frame_is_one_block_from_the_second_frame_on() -> None:
    memory = Memory()

    def frame() -> list[int]:
        first, second, third = (memory.take(size) for size in (1000, 5000, 1000))
        assert first is not None
        assert second is not None
        assert third is not None
        memory.give(second)
        inside = memory.take(2000)  # in the gap
        assert inside is not None
        beside = memory.take(10_000)
        assert beside is not None
        for address in (first, third, inside, beside):
            memory.give(address)
        return [first, second, third, inside, beside]

    frame()
    needed = memory._layout.size
    second = frame()
    assert (memory._layout.size, memory._block.size) == (needed, needed)
    assert second[1] == second[3]
    assert all(address % 64 == 0 and 0 <= address - second[0] < needed for address in second)
    assert frame() == second
    assert memory.is_empty


def test_an_allocator_outlives_its_blobs() -> None:
    ncnn = importlib.import_module("ncnn")
    allocator = allocator_class()()
    blob = ncnn.Mat(8, 8, 4, allocator=allocator)
    values = np.asarray(blob)
    values[:] = 7
    del allocator, blob
    gc.collect()
    assert (values == 7).all()
    del values


def test_an_allocator_is_kept_where_threads_take_and_give_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread takes a piece when another has just given the last one back."""
    allocator, give = allocator_class()(), Memory.give
    kept: Callable[[], Any] = weakref.ref(allocator)
    first: Any = allocator.fastMalloc(64)
    taken: list[Future[Any]] = []
    with ThreadPoolExecutor(1) as pool, monkeypatch.context() as patch:

        def gives(memory: Memory, address: int) -> None:
            give(memory, address)
            taken.append(pool.submit(kept().fastMalloc, 64))
            wait(taken, 0.05)  # it should not be done before this is

        patch.setattr(Memory, "give", gives)
        allocator.fastFree(first)
        second = taken[0].result()
    del allocator
    gc.collect()
    assert kept() is not None
    kept().fastFree(second)
    assert kept() is None


def test_an_allocator_that_has_no_memory_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Memory, "take", lambda memory, size: None)
    allocator = allocator_class()()
    assert allocator.fastMalloc(64) is None
    kept = weakref.ref(allocator)
    del allocator
    assert kept() is None


def test_outputs_are_in_the_memory_that_frames_use_again() -> None:
    weights = load_released(find(model="se", scale=2, noise="conservative"))
    runtime, workspace = NcnnRuntime(weights), Workspace()
    stage = weights.architecture.stages[0]
    read = {"input": np.zeros((1, 3, 68, 68), np.float32)}
    written = runtime.run_stage(0, stage, read, {}, workspace)
    allocator: Any = runtime._allocator(workspace)
    memory = allocator._memory
    assert memory._taken.keys() == {y.ctypes.data for y in written.values()}
    del allocator, written
    assert memory.is_empty


def test_no_memory_is_an_error_that_the_planner_knows(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blobs above a size are refused: the frame is computed in tiles."""
    x = np.ascontiguousarray(picture[:, :96, :96])
    messages: list[str] = []
    computes = Engine(validate(backend="ncnn", noise="conservative"), notify=messages.append)
    expected = upscale(engine(backend="ncnn", tile=48), x)
    take = Memory.take
    refused: list[int] = []

    def short(memory: Memory, size: int) -> int | None:
        if size > 12 << 20:
            refused.append(size)
            return None
        return take(memory, size)

    monkeypatch.setattr(ncnn_memory.Memory, "take", short)
    assert np.abs(upscale(computes, x) - expected).max() < 2e-5
    assert refused
    assert messages[-1] == "out of memory on cpu: tile 96x96 -> 48x48, features kept without skips"


def test_errors_of_ncnn_say_what_they_are() -> None:
    empty = importlib.import_module("ncnn").Mat()  # what ncnn returns where it had no memory for the output alone
    for error, kind in ((-100, MemoryError), (0, MemoryError), (-1, RuntimeError)):
        with pytest.raises(kind) as raised:
            _values("output", error, empty)
        assert is_out_of_memory(raised.value, "ncnn") == (error != -1)
    assert str(raised.value) == "ncnn must compute output, got error -1; use another backend"


def test_vulkan_is_not_touched_for_the_cpu() -> None:
    """No word on stderr, nothing of Vulkan's in the process, and a clean end."""
    code = """
import numpy as np
from vscugan.engine.engine import Engine
from vscugan.runtime.protocol import PassOptions
from vscugan.runtime.workspace import Workspace
from vscugan.settings import validate
from vscugan.tiling.tile_plan import FeatureStorage
engine = Engine(validate(backend="ncnn", device="cpu"))
engine.upscale(np.zeros((3, 32, 32), np.float32), list(np.empty((3, 64, 64), np.float32)))
with open("/proc/self/maps") as maps:
    print("vulkan" in maps.read())
"""
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("False\n", "")


@needs_adapter
def test_a_gpu_computes_what_torch_computes(picture: np.ndarray) -> None:
    """Whole, and in tiles with sums of maps; in fp16, where the gates still come from sums in fp32."""
    x = np.ascontiguousarray(picture[:, 100:124, 200:240])
    arguments = {"scale": 2, "alpha": 1.2}
    expected = upscale(engine(backend="torch", tile=0, **arguments), x)
    whole, tiled = (engine(tile=tile, **ON_GPU, **arguments) for tile in (0, 32))
    assert isinstance(whole.passes[0].runtime, NcnnVulkanRuntime)
    assert np.abs(upscale(whole, x) - expected).max() < 1e-4
    assert np.abs(upscale(tiled, x) - expected).max() < 2e-5
    coarse = engine(tile=0, precision="fp16", **ON_GPU, **arguments)
    if coarse.precision == "fp16":
        assert psnr(upscale(coarse, x), expected) > 50


@needs_adapter
def test_means_of_rows_are_computed_where_their_sums_are_too_large_for_fp16() -> None:
    weights = load_released(find(model="se", scale=2, noise="conservative"))
    runtime = NcnnVulkanRuntime(weights, number=0, buffer_bytes=1 << 30, precision="fp16")
    writer = Writer(weights)
    writer.row_means_output("means", writer.map_input("input"), writer.mask_input("mask"), 3)
    run = runtime.load(writer.model(), ["means"], None)
    inputs = {"input": np.full((1, 3, 2, 2000), 100, np.float32), "mask": np.ones((1, 1, 1, 2000), np.float32)}
    assert run(inputs, Workspace())["means"] == pytest.approx(np.full((1, 3, 2, 1), 100), rel=1e-3)


@needs_adapter
def test_frames_at_once_on_a_gpu_have_the_same_bits(picture: np.ndarray) -> None:
    frames = [np.ascontiguousarray(picture[:, 100 : 116 + k % 3, 200 + k : 216 + 3 * k]) for k in range(4)]
    engines = [engine(scale=scale, streams=2, tile=0, **ON_GPU) for scale in (2, 4)]
    jobs = [(each, frame) for frame in frames for each in engines]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: upscale(*job), jobs))
    for k in (7, 4, 1):
        assert np.array_equal(together[k], upscale(*jobs[k]))


@needs_adapter
def test_buffers_of_a_gpu_end_somewhere(picture: np.ndarray) -> None:
    """Plans know; what is larger all the same is refused, not computed beyond the end."""
    weights = load_released(find(model="se", scale=2, noise="conservative"))
    runtime = NcnnVulkanRuntime(weights, number=0, buffer_bytes=9 << 20, precision="fp32")
    assert runtime.largest_buffer == 4 << 20
    with pytest.raises(MemoryError) as error:
        runtime.run_network(torch.zeros(1, 3, 68, 68), Workspace(), PassOptions())
    assert str(error.value) == "ncnn has no memory for a map of 4 MiB, of 4 at most"
    plan = choose_plan(runtime, 720, 1280, Budget(device=64 << 30, host=64 << 30))
    assert (plan.tile, plan.storage) == ((32, 32), FeatureStorage.RECOMPUTE)


@needs_adapter
def test_an_adapter_that_ncnn_does_not_find_is_named() -> None:
    weights = load_released(find(model="se", scale=2, noise="conservative"))
    gone = Device("gpu", 1, Adapter(name="Card 9000"))
    with pytest.raises(DeviceError) as error:
        _make(weights, gone, "fp32")
    there = ", ".join(each.name for each in _listed_by_ncnn())
    assert str(error.value) == (
        f"device=gpu:1 must be Card 9000, which was found before, got {there} from ncnn; "
        "check the driver and VK_DRIVER_FILES, or use device=cpu"
    )


@needs_adapter
def test_a_number_that_ncnn_does_not_have_is_not_another_gpu() -> None:
    weights = load_released(find(model="se", scale=2, noise="conservative"))
    runtime = NcnnVulkanRuntime(weights, number=7, buffer_bytes=1 << 30, precision="fp32")
    with pytest.raises(DeviceError) as error:
        runtime.run_network(torch.zeros(1, 3, 68, 68), Workspace(), PassOptions())
    assert str(error.value) == (
        "backend=ncnn must compute on ncnn's GPU 7, got another device; "
        "check the driver and VK_DRIVER_FILES, or use device=cpu"
    )


@needs_adapter
def test_a_process_that_used_a_gpu_ends_without_a_word() -> None:
    code = """
import numpy as np
from vscugan.engine.engine import Engine
from vscugan.settings import validate
from vscugan.tiling.tile_plan import FeatureStorage
engine = Engine(validate(backend="ncnn", device="gpu:0"))
engine.upscale(np.zeros((3, 16, 16), np.float32), list(np.empty((3, 32, 32), np.float32)))
print(engine.summary)
"""
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("ncnn on gpu:0, fp32\n", "")


def test_what_is_no_chatter_is_kept_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with _without_chatter():
        os.write(2, b"[0 Card (9000)]  queueC=0[1]  queueT=0[1]\nsomething else\n[1 Card]  fp16-cm=0\n")
    assert capfd.readouterr().err == "something else\n"


def test_a_program_without_stderr_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an editor on Windows."""

    def closed(number: int) -> int:
        raise OSError("Bad file descriptor")

    monkeypatch.setattr(ncnn_runtime.os, "dup", closed)
    monkeypatch.setattr(ncnn_runtime.sys, "stderr", None)
    with ncnn_runtime._without_chatter():
        pass


def test_what_vulkan_does_not_list_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ncnn_runtime, "adapters", lambda: [])
    row, device = backend_row("ncnn"), Device("gpu", 0, Adapter(name="Adreno"))
    assert row.lacks(device) == "a Vulkan without Adreno"
    assert row.lacks(CPU) is None
