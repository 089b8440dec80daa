"""A model is a row, a runtime is a file: what is added here alone gets all that the released models have."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vapoursynth as vs
from support.frames import planes

from toys import toy_runtime
from toys.toy_architectures import SAME, TOYS, VALID, plain, random_weights
from vscugan.architectures import ARCHITECTURES
from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Layer
from vscugan.engine import planner
from vscugan.engine.padding import network_input
from vscugan.models import registry
from vscugan.models.registry import ModelRow
from vscugan.models.weights import load_released
from vscugan.reuse.areas import BorderCost
from vscugan.runtime import BACKENDS
from vscugan.runtime.backends import backend_row
from vscugan.runtime.device import CPU
from vscugan.runtime.protocol import PassOptions, Runtime
from vscugan.runtime.workspace import Workspace
from vscugan.tiling.run_tiles import run_tiles
from vscugan.tiling.tile_plan import FeatureStorage, TilePlan

RUNTIMES = ("torch", "openvino", "onnxruntime")


def ncnn_layer(layer: Layer, weight: torch.Tensor, bias: torch.Tensor) -> tuple[str, bytes]:
    """The line and the data of a layer in ncnn's files."""
    if layer.dense:
        line = f"InnerProduct {layer.name} 1 1 a b 0={layer.outputs} 1=1 2={weight.numel()}"
    else:
        kind = "Deconvolution" if layer.transposed else "Convolution"
        line = f"{kind} {layer.name} 1 1 a b 0={layer.outputs} 1={layer.kernel} 5=1 6={weight.numel()}"
    stored = weight.transpose(0, 1) if layer.transposed else weight
    return line, struct.pack("<I", 0) + stored.contiguous().numpy().tobytes() + bias.numpy().tobytes()


def released(architecture: Architecture, folder: Path) -> ModelRow:
    """A row of the registry for a toy whose files are written into ``folder``."""
    tensors = random_weights(architecture)
    layers = [
        ncnn_layer(layer, tensors[f"{layer.name}.weight"], tensors[f"{layer.name}.bias"])
        for layer in architecture.layers
    ]
    name = architecture.name.removesuffix("-2x")
    param = "\n".join(["7767517", f"{len(layers)} {len(layers)}", *(line for line, _ in layers)]).encode()
    data = b"".join(data for _, data in layers)
    (folder / f"{name}.param").write_bytes(param)
    (folder / f"{name}.bin").write_bytes(data)
    return ModelRow(
        name=f"{name}-2x",
        model=name,
        scale=2,
        noise="no-denoise",
        architecture=architecture.name,
        package="toy-models",
        param=f"{name}.param",
        param_bytes=len(param),
        param_sha256=hashlib.sha256(param).hexdigest(),
        file=f"{name}.bin",
        file_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        licence="MIT",
        origin="random",
    )


@pytest.fixture(scope="module", autouse=True)
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The toys' rows in the tables, and their package where Python looks for it."""
    package = tmp_path_factory.mktemp("site") / "toy_models"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(package.parent))
        for toy in TOYS:
            patch.setitem(ARCHITECTURES, toy.name, toy)
        more = tuple(released(toy, package / "models") for toy in TOYS)
        released_rows = registry.read_manifest()
        patch.setattr(registry, "read_manifest", lambda: (*released_rows, *more))
        patch.setitem(BACKENDS, "toy", "toys.toy_runtime")
        patch.setitem(BACKENDS, "reference", "toys.reference_runtime")
        yield


def model_of(toy: Architecture) -> str:
    return toy.name.removesuffix("-2x")


def frames(clip: vs.VideoNode, **arguments: Any) -> list[np.ndarray]:
    up = vs.core.cugan.Upscale(clip, **arguments)
    return [np.stack(planes(up.get_frame(n))) for n in range(up.num_frames)]


def furthest(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("toy", TOYS, ids=model_of)
def test_the_runtimes_agree(toy: Architecture, art_clip: Any) -> None:
    clip = art_clip(61, 47)
    first, *others = (frames(clip, model=model_of(toy), backend=backend, tile=0) for backend in RUNTIMES)
    assert all(furthest(first, other) < 1e-4 for other in others)
    assert furthest(first, [np.stack(planes(clip.resize.Point(122, 94).get_frame(0)))]) > 0.01  # it does something


def test_the_same_rule_is_torchs_own_padding(art_clip: Any) -> None:
    clip = art_clip(64, 48)
    x = torch.from_numpy(np.stack(planes(clip.get_frame(0))))[None]
    wanted = plain(SAME, random_weights(SAME), x)[0].clamp(0, 1).numpy()
    assert furthest(frames(clip, model="toy-same", backend="torch", tile=0), [wanted]) < 2e-5


@pytest.mark.parametrize("storage", FeatureStorage)
@pytest.mark.parametrize("backend", RUNTIMES)
@pytest.mark.parametrize("toy", TOYS, ids=model_of)
@pytest.mark.parametrize("size", [(97, 131), (33, 65)])
def test_tiles_give_the_whole_frame(
    size: tuple[int, int],
    toy: Architecture,
    backend: str,
    storage: FeatureStorage,
    art_clip: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip, plans = art_clip(size[1], size[0]), []
    whole = frames(clip, model=model_of(toy), backend=backend, tile=0)

    def choose(runtime: Runtime, height: int, width: int, budget: object, tile: tuple[int, int]) -> TilePlan:
        plans.append(TilePlan(tile=tile, storage=storage))
        return plans[-1]

    monkeypatch.setattr(planner, "choose_plan", choose)
    for tile in (32, [64, 32]):
        assert furthest(whole, frames(clip, model=model_of(toy), backend=backend, tile=tile)) < 2e-5
    assert [plan.tile for plan in plans] == [(32, 32), (32, 64)]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 19)])
@pytest.mark.parametrize("toy", TOYS, ids=model_of)
def test_small_frames(size: tuple[int, int], toy: Architecture, art_clip: Any) -> None:
    clip = art_clip(size[1], size[0])
    first, *others = (frames(clip, model=model_of(toy), backend=backend) for backend in RUNTIMES)
    assert all(furthest(first, other) < 1e-4 for other in others)
    assert first[0].shape == (3, 2 * size[0], 2 * size[1])


@pytest.fixture
def moving(core: Any, art_clip: Any) -> vs.VideoNode:
    """RGBS 160x96, eight frames: a box moves over a still picture."""
    still = core.std.Loop(art_clip(160, 96), 8)

    def paint(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for p in range(3):
            np.asarray(out[p])[40:48, 64 + 4 * n : 72 + 4 * n] = 0.2 * p
        return out

    return core.std.ModifyFrame(still, still, paint)


@pytest.mark.parametrize("backend", RUNTIMES)
@pytest.mark.parametrize("toy", TOYS, ids=model_of)
def test_what_stands_still_is_not_computed_again(toy: Architecture, backend: str, moving: vs.VideoNode) -> None:
    arguments = {"model": model_of(toy), "backend": backend, "reuse": "still", "report": 1}
    up = vs.core.cugan.Upscale(moving, **arguments)
    reused = [up.get_frame(n).props["CuganReused"] for n in range(8)]
    assert reused[0] == 0
    assert min(reused[1:]) > 0.5
    # gates are held, and what lies within the halo of a change is off by what the network sees of it there
    plain_frames = frames(moving, model=model_of(toy), backend=backend)
    assert furthest(frames(moving, **arguments), plain_frames) < 0.05
    box = [x[:, 80:96, 128:192] for x in plain_frames]
    assert furthest([x[:, 80:96, 128:192] for x in frames(moving, **arguments)], box) < 1e-3


@pytest.mark.parametrize("toy", TOYS, ids=model_of)
def test_two_passes_and_devices_in_a_list(toy: Architecture, art_clip: Any) -> None:
    clip = art_clip(48, 32, 4)
    once = [frames(clip, model=model_of(toy), backend=backend, width=192) for backend in RUNTIMES]
    assert once[0][0].shape == (3, 128, 192)
    assert all(furthest(once[0], other) < 1e-4 for other in once[1:])
    several = frames(clip, model=model_of(toy), backend="torch", width=192, device=["cpu", "cpu"])
    assert all(np.array_equal(a, b) for a, b in zip(once[0], several, strict=True))


def test_alpha_is_taken_where_a_gate_takes_it(art_clip: Any) -> None:
    clip = art_clip(64, 48)
    assert furthest(frames(clip, model="toy-valid"), frames(clip, model="toy-valid", alpha=1.3)) > 1e-3
    with pytest.raises(vs.Error) as error:
        frames(clip, model="toy-same", alpha=1.3)
    assert str(error.value) == "cugan.Upscale: alpha must be 1 for toy-same, got 1.3; its network does not take it"


def test_scales_that_no_row_has_are_routes(art_clip: Any) -> None:
    assert frames(art_clip(), model="toy-valid", scale=3)[0].shape == (3, 144, 192)
    assert frames(art_clip(), model="toy-valid", scale=1.5)[0].shape == (3, 72, 96)


@pytest.mark.parametrize("backend", ["toy", "auto"])
def test_a_runtime_is_picked_by_name_and_for_its_speed(backend: str, art_clip: Any) -> None:
    toy_runtime.RAN.clear()
    up = vs.core.cugan.Upscale(art_clip(64, 48), backend=backend, report=1)
    frame = up.get_frame(0)
    assert frame.props["CuganRuntime"] == "toy"
    assert toy_runtime.RAN == [0, 1, 2, 3, 4]
    wanted = frames(art_clip(64, 48), backend="torch")
    assert np.array_equal(np.stack(planes(frame)), wanted[0])


def test_a_runtime_refuses_what_its_row_does_not_have(art_clip: Any) -> None:
    with pytest.raises(vs.Error) as error:
        frames(art_clip(), backend="toy", precision="bf16")
    assert str(error.value) == (
        "cugan.Upscale: precision must be fp32 for backend=toy, got bf16; choose one of these, or backend=torch"
    )


@pytest.mark.parametrize(("toy", "tile"), [(SAME, 0), (VALID, 32)], ids=["whole", "tiles"])
def test_a_runtime_that_executes_graphs_agrees(toy: Architecture, tile: int, art_clip: Any) -> None:
    wanted = frames(art_clip(48, 40), model=model_of(toy), backend="torch", tile=0)
    up = vs.core.cugan.Upscale(art_clip(48, 40), model=model_of(toy), backend="reference", tile=tile, report=1)
    with up.get_frame(0) as frame:
        assert frame.props["CuganRuntime"] == "reference"
        assert furthest(wanted, [np.stack(planes(frame))]) < 2e-5


def test_the_rows_follow_from_the_layers() -> None:
    assert VALID.shapes.maps["output"].extra == 0
    assert VALID.halo_px == 4
    assert SAME.halo_px == 6  # 1 + 2 + 1 + 1, of which the 2 are around the deep map, in whole blocks of 2
    assert BorderCost.of(VALID) == BorderCost(rectangle_px=4, frame_px=4)
    assert BorderCost.of(SAME) == BorderCost(rectangle_px=12, frame_px=0)
    assert [gate.name for gate in VALID.gates] == ["squeeze"]
    assert not SAME.gates
    for toy in TOYS:
        row = next(row for row in registry.rows() if row.architecture == toy.name)
        weights = load_released(row)
        wanted = random_weights(toy)
        assert all(np.array_equal(weights.tensors[name], tensor.numpy()) for name, tensor in wanted.items())


def test_gates_of_another_device_are_taken(picture: np.ndarray) -> None:
    """As in a list of devices, whose gates are kept on the host."""
    weights = load_released(next(row for row in registry.rows() if row.architecture == VALID.name))
    x, gates = np.ascontiguousarray(picture[None, :, :32, :48]), (np.full((1, 8, 1, 1), 0.5, np.float32),)
    results = []
    for backend, precision in (("openvino", "fp32"), ("torch", "fp32"), ("torch", "bf16")):
        runtime = backend_row(backend).make(weights, CPU, precision)
        padded, area = network_input(VALID, runtime.arrays, runtime.arrays.upload(x))
        padded = runtime.arrays.as_map(padded)
        result = run_tiles(runtime, padded, TilePlan(tile=(0, 0)), area, Workspace(), PassOptions(gates=gates))
        assert result is not None
        results.append(runtime.arrays.to_host(runtime.arrays.copy(result[0])))
    assert np.abs(results[0] - results[1]).max() < 1e-4
    assert np.abs(results[0] - results[2]).max() < 2e-2
