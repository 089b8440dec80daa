"""Networks of users' own through the engine: tiles and parts beside the whole frame, who computes, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.frames import upscale
from support.tensors import TENSORS
from support.user_networks import compact, convolutions, loaded, made_by_spandrel, onnx_network, saved

from vscugan.cache import cache_folder
from vscugan.engine import network_pass
from vscugan.engine.engine import Engine
from vscugan.engine.padding import network_input
from vscugan.engine.route import find_route
from vscugan.errors import ArgumentError, DeviceError, FrameError
from vscugan.models.probe import BOUND
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.runtime.graph import network_graph
from vscugan.runtime.module_runtime import ModuleRuntime
from vscugan.runtime.onnx_writer import Writer
from vscugan.settings import validate
from vscugan.tiling.geometry import Rectangle, Span

UPCONV7 = find(model="waifu2x-anime", scale=2, noise="denoise1x")
Make = Callable[[Path], Path]


def spandrels(kind: str) -> Make:
    return lambda folder: saved(folder / f"{kind}.pth", made_by_spandrel(kind))


def small_compact(folder: Path) -> Path:
    return saved(folder / "compact.safetensors", compact())


def valid_onnx(folder: Path) -> Path:
    path = folder / "valid.onnx"
    path.write_bytes(onnx_network(**convolutions(3, 3, scale=2)))
    return path


def upconv7_onnx(folder: Path) -> Path:
    """As waifu2x is shared: it pads nothing."""
    path = folder / "upconv7.onnx"
    path.write_bytes(network_graph(Writer(load_released(UPCONV7))))
    return path


def crop(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.ascontiguousarray(picture[:, 100 : 100 + height, 200 : 200 + width])


def refused(**options: Any) -> str:
    with pytest.raises(ArgumentError) as error:
        Engine(validate(**options))
    return str(error.value)


@pytest.mark.parametrize("size", [(61, 131), (97, 64)], ids=lambda size: f"{size[1]}x{size[0]}")
@pytest.mark.parametrize(
    ("make", "bound"),
    [
        (small_compact, 2e-6),
        (valid_onnx, 2e-6),
        (upconv7_onnx, 2e-6),
        *((spandrels(kind), BOUND) for kind in ("ESRGAN", "SPAN", "SwinIR", "SAFMN")),
    ],
)
def test_tiles_give_the_whole_frame_within_the_bound(
    make: Make, bound: float, size: tuple[int, int], picture: np.ndarray, tmp_path: Path
) -> None:
    x, path = crop(picture, *size), str(make(tmp_path))
    whole, tiled = Engine(validate(weights=path)), Engine(validate(weights=path, tile=(48, 32)))
    y = upscale(whole, x)
    assert y.std() > 0.02
    assert np.abs(upscale(tiled, x) - y).max() < bound
    assert (whole.report()["CuganTile"], tiled.report()["CuganTile"]) == ("whole", "48x32")


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_waifu2x_in_onnx_is_waifu2x(backend: str, picture: np.ndarray, tmp_path: Path) -> None:
    x, path = crop(picture, 48, 64), str(upconv7_onnx(tmp_path))
    ours = Engine(validate(model="waifu2x-anime", noise="denoise1x", backend=backend))
    theirs = Engine(validate(weights=path, backend=backend))
    assert np.abs(upscale(theirs, x) - upscale(ours, x)).max() < 2e-6
    assert theirs.report()["CuganRuntime"] == backend


@pytest.mark.parametrize("make", [small_compact, upconv7_onnx, spandrels("SwinIR"), spandrels("RCAN")])
def test_parts_are_computed_as_the_whole_frame(make: Make, picture: np.ndarray, tmp_path: Path) -> None:
    """RCAN has means of the frame: all of it is computed for a part."""
    x = crop(picture, 61, 99)
    engine = Engine(validate(weights=str(make(tmp_path))))
    pictures, gates = engine.render(x)
    whole = pictures[-1].copy()
    areas = [
        Rectangle(rows=Span(start=8, stop=40), columns=Span(start=24, stop=48)),
        Rectangle(rows=Span(start=48, stop=61), columns=Span(start=88, stop=99)),
    ]
    for area in areas:
        pictures[-1][:, *area.enlarged(2).index] = 0
    engine.repaint(pictures, x, areas, gates)
    assert np.abs(pictures[-1] - whole).max() < BOUND


@pytest.mark.parametrize("make", [small_compact, upconv7_onnx, spandrels("SwinIR")])
def test_pictures_of_any_size(make: Make, picture: np.ndarray, tmp_path: Path) -> None:
    """What a network does not take is filled up, and cropped from the result."""
    engine = Engine(validate(weights=str(make(tmp_path))))
    for size in ((1, 1), (5, 7), (20, 200)):
        x = crop(picture, *size)
        assert np.isfinite(upscale(engine, x)).all()
        padded, _ = network_input(engine.architecture, TENSORS, torch.from_numpy(x)[None])
        least = engine.architecture.minimum_px + 2 * engine.architecture.pad_px
        assert min(padded.shape[2:]) >= least


def test_the_log_says_what_was_found(tmp_path: Path, picture: np.ndarray) -> None:
    notes: list[str] = []
    engine = Engine(validate(weights=str(small_compact(tmp_path)), tile=32), notify=notes.append)
    upscale(engine, crop(picture, 48, 64))
    assert notes.pop(0) == (
        "weights: what tiles of this spandrel file must see is measured once, which may take some minutes"
    )
    assert notes[0].startswith(
        "weights: compact.safetensors is RealESRGAN Compact 8nf 2nc, 2x; tiles see 8 px around themselves, and differ "
        "from the whole by "
    )
    assert notes[0].endswith(" codes of 8 bit on a test picture")
    assert notes[1].startswith("tile: 32x32 of 64x48 (chosen for ")
    assert len(notes) == 2
    notes.clear()
    Engine(validate(weights=str(small_compact(tmp_path)), halo=16), notify=notes.append)
    assert notes[0].endswith(" codes of 8 bit on a test picture; by halo=16 its tiles see 16 px")


def test_what_must_see_the_whole_frame_is_not_tiled(
    tmp_path: Path, picture: np.ndarray, short_of_memory: Callable[[int], object]
) -> None:
    path, x = str(spandrels("RCAN")(tmp_path)), crop(picture, 48, 64)
    assert refused(weights=path, tile=32) == (
        f"tile must be left out for {path}, got 32x32; its tiles would differ from the whole frame, leave tile out, or "
        "say by halo what they see around themselves"
    )
    whole, tiled = Engine(validate(weights=path, memory=64)), Engine(validate(weights=path, tile=32, halo=16))
    difference = np.abs(upscale(tiled, x) - upscale(whole, x)).max()
    assert 0 < difference < 0.1
    assert (whole.report()["CuganTile"], tiled.report()["CuganTile"]) == ("whole", "32x32")
    short_of_memory(32)
    with pytest.raises(DeviceError) as error:
        upscale(whole, x)
    assert str(error.value) == (
        "cpu must have room for a whole frame of 64x48, got out of memory; close other programs, lower streams, or "
        "name a halo= for tiles"
    )


def test_who_can_not_run_it_is_refused(tmp_path: Path) -> None:
    module, graph = str(small_compact(tmp_path)), str(valid_onnx(tmp_path))
    assert refused(weights=graph, backend="torch") == (
        "backend must be openvino or onnxruntime for a network in ONNX, got torch; use it, or backend=auto"
    )
    assert refused(weights=module, backend="ncnn") == (
        "backend must be torch for a network that spandrel reads, got ncnn; use it, or backend=auto"
    )
    swinir = str(spandrels("SwinIR")(tmp_path))
    assert refused(weights=swinir, precision="fp16") == (
        f"precision must be fp32 or bf16 for {swinir}, got fp16; use one of these"
    )
    for path in (module, graph):
        assert refused(weights=path, precision="int8") == (
            "precision must be auto, fp32, fp16 or bf16 for weights that int8 was not measured with, got int8; use one "
            "of these, or model=se"
        )
        assert refused(weights=path, alpha=1.1) == f"alpha must be 1 for {path}, got 1.1; its network does not take it"
    assert refused(weights=graph, halo=8) == (
        "halo must be left out for ONNX, got 8; its tiles give the whole frame as they are"
    )


def test_a_network_of_scale_1_makes_nothing_larger(tmp_path: Path) -> None:
    path = str(saved(tmp_path / "x.pth", compact(scale=1)))
    assert [step.scale for step in find_route(validate(weights=path, width=64), (64, 48), (64, 48))] == [1]
    with pytest.raises(ArgumentError) as error:
        find_route(validate(weights=path, width=65), (64, 48), (65, 49))
    assert str(error.value) == (
        "weights must have a scale above 1 for a larger picture, got a file for scale=1; use another file"
    )


def test_sizes_take_as_many_passes_as_they_need(tmp_path: Path) -> None:
    path = str(small_compact(tmp_path))
    assert [step.scale for step in find_route(validate(weights=path, width=200), (64, 48), (200, 150))] == [2, 2]


@pytest.mark.usefixtures("every_precision")
@pytest.mark.parametrize(("precision", "bound"), [("fp16", 2e-3), ("bf16", 2e-2)])
def test_torch_runs_it_in_each_precision_that_it_was_made_for(
    precision: str, bound: float, picture: np.ndarray, tmp_path: Path
) -> None:
    x, path = crop(picture, 48, 64), str(small_compact(tmp_path))
    engine = Engine(validate(weights=path, precision=precision, backend="torch"))
    difference = np.abs(upscale(engine, x) - upscale(Engine(validate(weights=path)), x)).max()
    assert 0 < difference < bound
    assert engine.report()["CuganPrecision"] == precision


@pytest.mark.usefixtures("every_precision")
def test_what_overflows_in_fp16_is_computed_again(picture: np.ndarray, tmp_path: Path) -> None:
    """spandrel clamps Inf to 1: it must be seen all the same."""
    state, notes = compact(), list[str]()
    state["body.0.weight"] *= 1e6
    state["body.2.weight"] *= 1e-6
    x, path = crop(picture, 48, 64), str(saved(tmp_path / "x.pth", state))
    got = upscale(Engine(validate(weights=path, precision="fp16", backend="torch"), notify=notes.append), x)
    assert notes[-1] == "frame 0 gave NaN or Inf in fp16; it was computed again in fp32"
    assert np.array_equal(got, upscale(Engine(validate(weights=path)), x))


def test_a_network_that_writes_over_its_input_spoils_nothing(picture: np.ndarray, tmp_path: Path) -> None:
    engine = Engine(validate(weights=str(spandrels("RCAN")(tmp_path))))
    x = crop(picture, 48, 64)
    before = x.copy()
    assert np.array_equal(upscale(engine, x), upscale(engine, x))
    assert np.array_equal(x, before)


def test_what_a_network_raises_is_an_error_of_the_frame(
    picture: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_compact(tmp_path)
    engine = Engine(validate(weights=str(path)))

    def fails(*_: object) -> None:
        raise RuntimeError("The size of tensor a (8) must match\n the size of tensor b (9)")

    monkeypatch.setattr(ModuleRuntime, "run_network", fails)
    with pytest.raises(FrameError) as error:
        upscale(engine, crop(picture, 48, 64))
    assert str(error.value) == (
        f"{path} must take a picture of 64x48, got RuntimeError: The size of tensor a (8) must match the size of "
        "tensor b (9); use another size, or another network"
    )


def test_a_wrong_entry_of_the_cache_is_not_believed(picture: np.ndarray, tmp_path: Path) -> None:
    module, graph, x = small_compact(tmp_path), valid_onnx(tmp_path), crop(picture, 48, 64)
    wanted = upscale(Engine(validate(weights=str(module))), x)
    Engine(validate(weights=str(graph)))
    for kept in (cache_folder() / "networks").iterdir():
        kept.write_text(kept.read_text(encoding="utf-8").replace('"scale": 2', '"scale": 3'), encoding="utf-8")
    assert np.array_equal(upscale(Engine(validate(weights=str(module))), x), wanted)  # the file says it
    with pytest.raises(FrameError) as error:
        upscale(Engine(validate(weights=str(graph))), x)
    assert str(error.value) == (
        f"{graph} must take a picture of 64x48, got RuntimeError: a result of [1, 3, 96, 128] in place of "
        "[1, 3, 144, 192], which follows from the cache; use another size, or another network"
    )


def test_memory_is_planned_by_what_was_measured(tmp_path: Path, picture: np.ndarray) -> None:
    weights = loaded(tmp_path / "x.pth", made_by_spandrel("ESRGAN", num_filters=64, num_blocks=1, scale=4))
    runtime = network_pass.shared_runtime("torch", weights, network_pass.Device("cpu"), "fp32")
    assert float(weights.architecture.shapes.widest) == pytest.approx(2 * 64 * 4**2, rel=0.1)  # two maps at the end
    assert runtime.working_maps == 1.5
    engine = Engine(validate(weights=str(tmp_path / "x.pth"), memory=64))
    upscale(engine, crop(picture, 97, 131))
    assert engine.report()["CuganTile"] == "32x32"  # with its halo 1.5 x 2048 values x 48 x 48 px: 27 MiB
