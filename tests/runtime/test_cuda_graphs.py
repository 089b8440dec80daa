"""CUDA graphs on a stand-in that records operations and runs them again: what is captured, when, and its bits."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from support.cuda_stand_in import StandIn, Stream, stand_in
from support.frames import upscale
from support.tensors import TENSORS
from torch import Tensor

from vscugan.engine import network_pass
from vscugan.engine.engine import Engine
from vscugan.engine.network_pass import shared_runtime
from vscugan.engine.padding import network_input
from vscugan.models.registry import default_noise, find
from vscugan.models.weights import load_released
from vscugan.runtime import cuda_graphs
from vscugan.runtime.cuda_graphs import FRAMES_BEFORE_CAPTURE, MOST_GRAPHS, captures_paused, release_graphs
from vscugan.runtime.device import CPU
from vscugan.runtime.protocol import Gates, PassOptions
from vscugan.runtime.torch_runtime import TorchRuntime
from vscugan.runtime.workspace import Workspace
from vscugan.settings import validate
from vscugan.tiling.run_tiles import run_tiles
from vscugan.tiling.tile_plan import TilePlan

FIRST = FRAMES_BEFORE_CAPTURE


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    gc.collect()  # what other tests have left is not asked about streams
    cuda_graphs._warn_once.cache_clear()
    with stand_in(monkeypatch) as made, torch.inference_mode():
        yield made


@pytest.fixture
def graphing(picture: np.ndarray) -> TorchRuntime:
    return runtime_for()


def runtime_for(*, model: str = "se", scale: int = 2, dtype: torch.dtype = torch.float32) -> TorchRuntime:
    noise = "conservative" if model in ("se", "pro") else default_noise(model)
    runtime = TorchRuntime(load_released(find(model=model, scale=scale, noise=noise)), torch.device("cpu"), dtype)
    runtime.uses_graphs = True
    return runtime


def crop(picture: np.ndarray, n: int, height: int = 32, width: int = 40) -> Tensor:
    return torch.from_numpy(picture)[None, :, 100 + n : 100 + n + height, 200 + 3 * n : 200 + 3 * n + width]


def run(
    runtime: TorchRuntime, x: Tensor, workspace: Workspace, gates: Gates | None = None, **options: object
) -> tuple[Tensor, Gates]:
    given = gates and tuple(map(TENSORS.to_host, gates))
    padded, inner = network_input(runtime.architecture, TENSORS, x)
    result = run_tiles(
        runtime, runtime.arrays.as_map(padded), TilePlan(tile=(0, 0)), inner, workspace,
        PassOptions(gates=given, **options),  # type: ignore[arg-type]
    )  # fmt: skip
    assert result is not None
    return result[0].clone(), tuple(gate.clone() for gate in result[1])


@pytest.mark.parametrize(
    ("model", "scale", "dtype"),
    [("se", 2, torch.float32), ("se", 3, torch.float32), ("se", 4, torch.float32), ("pro", 2, torch.float32),
     ("se", 2, torch.bfloat16), ("waifu2x", 1, torch.float32), ("waifu2x-anime", 2, torch.float32),
     ("realesrgan-animevideo", 3, torch.float32), ("realesrgan-anime", 4, torch.float32)],
)  # fmt: skip
def test_the_whole_network_has_the_bits_of_stage_by_stage(
    model: str, scale: int, dtype: torch.dtype, picture: np.ndarray
) -> None:
    runtime = runtime_for(model=model, scale=scale, dtype=dtype)
    runtime.uses_graphs = False
    with torch.inference_mode():
        padded, _ = network_input(runtime.architecture, TENSORS, crop(picture, 0))
        for given in (None, tuple(gate * 0.9 for gate in run(runtime, crop(picture, 1), Workspace())[1])):
            wanted, gates = run(runtime, crop(picture, 0), Workspace(), alpha=0.8, gates=given)
            got, same = runtime.whole_network(padded.to(dtype), PassOptions(alpha=0.8, gates=given))
            assert got.dtype == torch.float32
            assert got.is_contiguous()
            assert torch.equal(got[0, :, : wanted.shape[1], : wanted.shape[2]], wanted)
            assert all(torch.equal(a, b) for a, b in zip(same, gates, strict=True))


@pytest.mark.parametrize("given", [False, True])
def test_a_replay_has_the_bits_of_the_calls_for_other_pictures_too(
    given: bool, device: StandIn, picture: np.ndarray, graphing: TorchRuntime
) -> None:
    plain, workspace = runtime_for(), Workspace()
    plain.uses_graphs = False
    for n in range(FIRST + 3):
        gates = run(plain, crop(picture, 20 + n), Workspace())[1] if given else None
        wanted = run(plain, crop(picture, n), Workspace(), gates=gates)
        got = run(graphing, crop(picture, n), workspace, gates=gates)
        assert torch.equal(got[0], wanted[0])
        assert all(torch.equal(a, b) for a, b in zip(got[1], wanted[1], strict=True))
    assert device.calls.count("capture in a new pool") == 1
    assert device.calls.count("replay") == 3
    assert gc.isenabled()


def test_gates_stay_when_another_graph_of_the_slot_writes_over_the_first_ones_memory(
    device: StandIn, picture: np.ndarray, graphing: TorchRuntime
) -> None:
    """As it does with a route of several passes, whose gates are read at its end."""
    workspace, x, other = Workspace(), crop(picture, 0), crop(picture, 30)
    padded, _ = network_input(graphing.architecture, TENSORS, x)
    for _ in range(FIRST + 1):
        y, gates = graphing.run_network(padded, workspace, PassOptions()) or (x, ())
    assert "replay" in device.calls
    before = [gate.clone() for gate in gates]
    graphing.run_network(network_input(graphing.architecture, TENSORS, other)[0], workspace, PassOptions())
    assert not torch.equal(y, graphing.whole_network(padded, PassOptions())[0])  # it is overwritten
    assert before
    assert all(torch.equal(gate, kept) for gate, kept in zip(gates, before, strict=True))


def test_what_changes_the_result_has_a_graph_of_its_own(
    device: StandIn, picture: np.ndarray, graphing: TorchRuntime
) -> None:
    workspace, x = Workspace(), crop(picture, 0)
    results = []
    for options in ({"alpha": 1.0}, {"alpha": 0.8}, {"gates": run(graphing, crop(picture, 9), Workspace())[1]}):
        results.append([run(graphing, x, workspace, **options)[0] for _ in range(FIRST + 1)])
    smaller = [run(graphing, crop(picture, 0, 32, 32), workspace)[0] for _ in range(FIRST + 1)]
    assert all(torch.equal(each[0], each[-1]) for each in (*results, smaller))
    assert len({float(each[0].double().sum()) for each in results}) == 3
    assert [call for call in device.calls if call.startswith("capture")] == [
        "capture in a new pool", *["capture in pool 7"] * 3,
    ]  # fmt: skip
    assert device.calls.count("replay") == 4


def test_each_slot_has_its_graphs_and_they_go_with_it(
    device: StandIn, picture: np.ndarray, graphing: TorchRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = [Workspace(), Workspace()]
    for number, workspace in enumerate(slots):
        monkeypatch.setattr(torch.cuda, "current_stream", lambda *_, number=number: Stream(number))
        for _ in range(FIRST + 1):
            run(graphing, crop(picture, 0), workspace)
    assert device.calls.count("capture in a new pool") == device.calls.count("replay") == 2
    before = len(cuda_graphs._slots)
    slots.clear()
    del workspace
    gc.collect()
    assert len(cuda_graphs._slots) == before - 2


def in_turn(runtime: TorchRuntime, picture: np.ndarray, kinds: int, workspace: Workspace, rounds: int) -> None:
    for _ in range(rounds):
        for n in range(kinds):
            run(runtime, crop(picture, 0, 16, 16), workspace, alpha=1 - n / 20)


def test_as_many_kinds_in_turn_as_there_may_be_graphs_are_all_captured(
    device: StandIn, picture: np.ndarray, graphing: TorchRuntime
) -> None:
    """A route of three passes of one network is one frame, and three kinds."""
    in_turn(graphing, picture, MOST_GRAPHS, Workspace(), FIRST + 1)
    assert sum(call.startswith("capture") for call in device.calls) == MOST_GRAPHS
    assert device.calls.count("replay") == MOST_GRAPHS


def test_more_kinds_in_turn_would_drive_each_other_out(
    device: StandIn, picture: np.ndarray, graphing: TorchRuntime
) -> None:
    in_turn(graphing, picture, MOST_GRAPHS + 1, Workspace(), 2 * FIRST)
    assert device.calls == []


def test_parts_of_pictures_are_not_captured(device: StandIn, picture: np.ndarray, graphing: TorchRuntime) -> None:
    gates = run(graphing, crop(picture, 0), Workspace())[1]
    workspace = Workspace()
    for _ in range(2 * FIRST):
        run(graphing, crop(picture, 0), workspace, gates=gates, is_part=True)
    assert device.calls == []
    assert workspace not in cuda_graphs._slots


def test_of_too_many_graphs_the_one_unused_for_longest_goes(
    device: StandIn, picture: np.ndarray, graphing: TorchRuntime
) -> None:
    workspace = Workspace()
    in_turn(graphing, picture, MOST_GRAPHS, workspace, FIRST)
    run(graphing, crop(picture, 0, 16, 16), workspace, alpha=1.0)  # the first one is used
    for _ in range(FIRST):
        run(graphing, crop(picture, 0, 16, 16), workspace, alpha=0.5)
    alphas = [graph.alpha for graph in cuda_graphs._slots[workspace].graphs]
    assert len(alphas) == MOST_GRAPHS
    assert (alphas[0], alphas[-2:]) == (0.9, [1.0, 0.5])


def test_where_no_graph_can_be_captured_frames_are_computed_without(
    device: StandIn, picture: np.ndarray, graphing: TorchRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise RuntimeError("capture invalidated")

    device.fail = fails
    for _ in range(2):  # slots
        workspace = Workspace()
        results = [run(graphing, crop(picture, 0), workspace)[0] for _ in range(FIRST + 2)]
        assert all(torch.equal(results[0], each) for each in results)
        del workspace
        gc.collect()
    assert device.calls.count("capture in a new pool") == 2  # one try each
    assert "replay" not in device.calls
    assert [record.message for record in caplog.records] == [
        "CUDA graphs must be captured, got capture invalidated; frames are computed without, which may be slower"
    ]


def test_what_waits_for_the_device_can_t_be_captured(
    device: StandIn, picture: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    def waits(padded: Tensor, options: PassOptions) -> tuple[Tensor, Gates]:
        return padded * padded.sum().item(), ()

    workspace = Workspace()
    for _ in range(FIRST):
        cuda_graphs.run_by_graph(waits, crop(picture, 0), workspace, PassOptions())
    assert "not permitted when stream is capturing" in caplog.text


def test_short_memory_turns_captures_off(
    device: StandIn, picture: np.ndarray, graphing: TorchRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    workspace, device.free_bytes, device.kept_bytes = Workspace(), 1 << 20, 1 << 20
    for _ in range(FIRST + 2):
        run(graphing, crop(picture, 0), workspace)
    assert device.calls == ["empty_cache"]
    assert [record.message for record in caplog.records] == ["CUDA graphs are off: memory on cpu is short"]


def test_memory_that_torch_cannot_give_back_counts_as_that_of_frames(device: StandIn) -> None:
    device.free_bytes, device.kept_bytes = 10 << 20, 1 << 20
    here = {"device": 0, "segment_pool_id": (0, 0), "total_size": 12 << 20, "active_size": 2 << 20}
    others = [here | {"device": 1}, here | {"segment_pool_id": (0, 1)}]  # another device's, and a graph's
    gpu = torch.device("cuda", 0)
    device.segments = others
    assert cuda_graphs.has_room(gpu)
    device.segments = [here, *others]
    assert not cuda_graphs.has_room(gpu)


def test_two_slots_on_one_stream_capture_nothing(
    device: StandIn, picture: np.ndarray, graphing: TorchRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    slots = [Workspace(), Workspace()]
    for _ in range(FIRST + 1):
        for workspace in slots:
            run(graphing, crop(picture, 0), workspace)
    assert device.calls == []
    text = "CUDA graphs are off for a frame in flight that shares its stream with another one"
    assert [record.message for record in caplog.records] == [text] * 2


def test_nothing_is_captured_in_a_pause(device: StandIn, picture: np.ndarray, graphing: TorchRuntime) -> None:
    workspace = Workspace()
    with captures_paused():
        for _ in range(FIRST + 1):
            run(graphing, crop(picture, 0), workspace)
    assert device.calls == []
    run(graphing, crop(picture, 0), workspace)
    assert "capture in a new pool" in device.calls


def test_graphs_are_freed_before_the_tile_gets_smaller(
    device: StandIn, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    engine = Engine(validate(backend="torch", tile=0), notify=notes.append)
    runtime = engine.passes[0].runtime
    assert isinstance(runtime, TorchRuntime)
    runtime.uses_graphs = True
    frames = [crop(picture, n)[0].numpy() for n in range(FIRST + 2)]
    results = [upscale(engine, x) for x in frames]
    assert device.calls.count("replay") == 2
    real, failures = network_pass.run_tiles, [torch.OutOfMemoryError("made up")]

    def fails_once(*arguments: object) -> object:
        if failures:
            raise failures.pop()
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(network_pass, "run_tiles", fails_once)
    monkeypatch.setattr(network_pass, "release_memory", lambda _: release_graphs(torch.device("cpu")))
    notes.clear()
    device.calls.clear()
    assert all(np.array_equal(upscale(engine, x), y) for x, y in zip(frames, results, strict=True))
    assert device.calls == ["synchronize", "empty_cache"]  # none of them replays, and none is captured again
    assert notes == ["out of memory on cpu: CUDA graphs are freed, and captured no more"]
    assert not release_graphs(torch.device("cpu"))


def test_a_runtime_is_made_while_nothing_is_captured(device: StandIn) -> None:
    weights = load_released(find(model="se", scale=2, noise="denoise2x"))
    shared_runtime("torch", weights, CPU, "fp32")
    assert device.calls == []
    cuda_graphs.synchronize(torch.device("cpu"))
    assert device.calls == ["synchronize"]
