"""int8: the table, what is refused, and that the picture is close to fp32 and the same tiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.frames import DATA, INT8_REFUSED, or_int8_is_refused, psnr, upscale

from vscugan.engine.engine import Engine
from vscugan.errors import ArgumentError, DeviceError, FrameError
from vscugan.models import int8
from vscugan.models.registry import rows
from vscugan.models.weights import Weights, load_released
from vscugan.runtime import openvino_runtime
from vscugan.runtime.backends import backend_row, pick_backend
from vscugan.runtime.device import CPU, Device
from vscugan.runtime.graph_runtime import GraphRuntime
from vscugan.runtime.openvino_runtime import OpenVinoRuntime
from vscugan.runtime.protocol import PassOptions
from vscugan.runtime.workspace import Workspace
from vscugan.settings import validate

pytestmark = pytest.mark.instruction_set
TAKEN = [row for row in rows() if int8.table().get(row.name, {}).get("worst_psnr", 0) >= int8.LOWEST_PSNR]


@pytest.fixture(scope="module")
def held() -> np.ndarray:
    """(3, 90, 160): a whole picture that nothing was calibrated by, at a quarter of its size."""
    image = Image.open(DATA / "sylvie_blue_lecturehall_640x360.png").convert("RGB").reduce(4)
    return np.ascontiguousarray(np.asarray(image, np.float32).transpose(2, 0, 1) / 255)


def through(x: np.ndarray, **arguments: Any) -> np.ndarray:
    return upscale(Engine(validate(noise="conservative", backend="openvino", **arguments)), x)


def test_the_table_has_every_model_of_real_cugan() -> None:
    """And it has only files that are in the registry: a file that is trained anew must be quantised anew."""
    table = int8.table()
    for row in rows():
        if row.model in ("se", "pro"):
            assert table[row.name]["sha256"] == row.sha256
    assert {row["sha256"] for row in table.values()} <= {row.sha256 for row in rows()}


def test_one_row_is_for_all_levels_of_a_file_and_for_one_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    each = {row.scale: row for row in rows() if row.model == "fast" and row.noise == "denoise1x"}
    row = {
        "sha256": each[2].sha256, "architecture": each[2].architecture, "worst_psnr": 50.0,
        "ranges": {"middle.0": [0.0, 1.0]}, "exponents": {}, "biases": {},
    }  # fmt: skip
    monkeypatch.setattr(int8, "table", lambda: {"fast-2x": row})
    for strength in (None, 0.0, 2.5):
        quantisation = int8.quantisation_of(load_released(each[2], strength))
        assert quantisation.layers == {"middle.0": int8.Range(low=0.0, high=1.0)}
    with pytest.raises(ArgumentError, match="for weights that int8 was not measured with"):
        int8.quantisation_of(load_released(each[1]))


@or_int8_is_refused
def test_int8_layers_are_what_is_executed(held: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """By OpenVINO's own account of the compiled graph, beside the table's layers."""
    compiled = []
    openvino = openvino_runtime.package()
    compile_model = openvino.Core.compile_model

    def keep(self: Any, *arguments: Any) -> Any:
        compiled.append(compile_model(self, *arguments))
        return compiled[-1]

    monkeypatch.setattr(openvino.Core, "compile_model", keep)
    for precision, layers in (("fp32", {}), ("int8", int8.table()["se-2x-conservative"]["ranges"])):
        through(held, precision=precision, alpha=1.01)
        nodes = [node.get_rt_info() for node in compiled[-1].get_runtime_model().get_ops()]
        kinds = [node["primitiveType"].astype(str) for node in nodes if "Convolution" in node["layerType"].astype(str)]
        assert sum(kind.endswith("I8") for kind in kinds) == len(layers)


@pytest.mark.parametrize(("model", "scale"), [("se", 2), ("se", 3), ("se", 4), ("pro", 2), ("pro", 3)])
@or_int8_is_refused
def test_a_held_out_picture_is_close_to_fp32(model: str, scale: int, held: np.ndarray) -> None:
    name = f"{model}-{scale}x-conservative"
    if name not in {row.name for row in TAKEN}:
        pytest.skip(f"{name} is refused")
    plain = through(held, model=model, scale=scale)
    assert psnr(through(held, model=model, scale=scale, precision="int8"), plain) > int8.LOWEST_PSNR


@or_int8_is_refused
def test_tiles_are_as_good_as_the_whole_frame(picture: np.ndarray) -> None:
    x = np.ascontiguousarray(picture[:, 100:164, 260:356])
    full, whole = through(x, tile=0), through(x, tile=0, precision="int8")
    for tile, keep_memory in ((32, None), (48, 64)):
        tiled = through(x, tile=tile, memory=keep_memory, precision="int8")
        # what int8 leaves is rounded at the borders of the graphs, as with bf16
        assert abs(psnr(tiled, full) - psnr(whole, full)) < 2
        assert psnr(tiled, whole) > int8.LOWEST_PSNR


def test_moving_factors_through_the_channels_changes_nothing(held: np.ndarray) -> None:
    weights = load_released(rows()[0])
    quantisation = int8.parse(int8.table()[rows()[0].name])
    same = int8.scaled(weights, quantisation.exponents)
    assert any(any(exponents) for exponents in quantisation.exponents.values())
    x = np.pad(held, ((0, 0), (18, 18), (18, 18)), mode="reflect")[None]
    outputs = []
    for w in (weights, same):
        runtime = OpenVinoRuntime(w, device="CPU", precision="fp32")
        y, _ = runtime.run_network(x, Workspace(), PassOptions())
        outputs.append(y.copy())
    assert np.abs(outputs[0] - outputs[1]).max() < 1e-5


def test_a_weight_is_rounded_for_each_channel_that_it_writes() -> None:
    weight = np.random.default_rng(1).normal(size=(5, 7, 2, 2)).astype(np.float32)
    for axis in (0, 1):
        codes, scales = int8.quantised_weight(weight, axis)
        assert codes.dtype == np.int8
        assert np.abs(codes.astype(int)).max(axis=tuple(a for a in range(4) if a != axis)).tolist() == [127] * len(
            scales
        )
        shape = [1] * 4
        shape[axis] = -1
        assert (np.abs(codes * scales.reshape(shape) - weight) <= scales.reshape(shape) * 0.5001).all()


def test_a_range_has_zero_as_a_level() -> None:
    levels = int8.Range(low=-0.37, high=1.9)
    assert levels.scale == pytest.approx(2.27 / 255)
    assert levels.zero_point == 42


def refused(weights: Weights) -> str:
    with pytest.raises(ArgumentError) as error:
        backend_row("openvino").make(weights, CPU, "int8")
    return str(error.value)


def test_weights_that_were_not_measured_are_refused() -> None:
    weights = load_released(rows()[0])
    other = replace(weights, sha256="0" * 64, source="mine.pth")
    assert refused(other) == (
        "precision must be auto, fp32, fp16 or bf16 for weights that int8 was not measured with, got int8; "
        "use one of these, or model=se"
    )


@pytest.mark.parametrize("architecture", ["upcunet-1x", "upcunet-2x", "upconv7", "srvgg-4x", "rrdb-6b"])
def test_models_that_were_not_measured_are_refused(architecture: str) -> None:
    row = next(row for row in rows() if row.architecture == architecture and row.model not in ("se", "pro"))
    assert refused(load_released(row)) == (
        "precision must be auto, fp32, fp16 or bf16 for weights that int8 was not measured with, got int8; "
        "use one of these, or model=se"
    )


def test_models_that_miss_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    row = int8.table()["se-2x-conservative"] | {"worst_psnr": 44.44}
    monkeypatch.setattr(int8, "table", lambda: {"se-2x-conservative": row})
    assert refused(load_released(rows()[0])) == (
        "precision must be auto, fp32, fp16 or bf16 for se-2x-conservative, got int8; its worst picture has 44.4 dB "
        "to fp32 in int8 and must have 45, use bf16 or fp32"
    )


def test_only_openvino_on_a_cpu_has_int8() -> None:
    assert pick_backend("auto", CPU, "int8") == ("openvino", None)
    for name, device, text in (
        ("torch", "cpu", "backend must be openvino for precision=int8, got torch; use it, or precision=auto"),
        ("auto", "cuda", "device must be cpu for precision=int8, got cuda; use it, or precision=auto"),
    ):
        with pytest.raises(ArgumentError) as error:
            pick_backend(name, Device(device), "int8")
        assert str(error.value) == text


def test_a_cpu_whose_sums_overflow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_runtime, "adds_int8_exactly", lambda: False)
    with pytest.raises(DeviceError) as error:
        backend_row("openvino").make(load_released(rows()[0]), CPU, "int8")
    assert str(error.value) == INT8_REFUSED


@or_int8_is_refused
def test_nan_is_found_though_levels_are_finite(held: np.ndarray) -> None:
    broken = held.copy()
    broken[1, 20, 30] = np.nan
    with pytest.raises(FrameError) as error:
        through(broken, precision="int8")
    assert str(error.value).startswith("frame 0 must come out finite, got NaN or Inf from the network in fp32")


@or_int8_is_refused
def test_the_table_is_installed() -> None:
    assert Path(int8.__file__).with_name("int8.json") == int8.TABLE
    engine = Engine(validate(precision="int8", noise="conservative"))
    assert engine.report()["CuganPrecision"] == "int8"
    assert isinstance(engine.passes[0].runtime, GraphRuntime)
