"""ONNX files of users' own: what is found out about each, and what is refused with which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.user_networks import convolutions, onnx_network
from support.weight_files import SE, refusal

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Border
from vscugan.install import how_to_install
from vscugan.models import onnx_file
from vscugan.models.weights import Weights, load_file, load_released
from vscugan.runtime.onnx_writer import frame_model

MEND = "get the file again, or use the released models"
OTHER = "use another file"
NODE = helper.make_node


def read(data: bytes, folder: Path) -> Weights:
    path = folder / "x.onnx"
    path.write_bytes(data)
    return load_file(str(path))


def facts(architecture: Architecture) -> tuple[int, Border, int, int, int, bool]:
    return (
        architecture.scale,
        architecture.border,
        architecture.multiple,
        architecture.pad_px,
        architecture.halo_px if architecture.can_tile else 0,
        architecture.can_tile,
    )


#: Leaves the picture as it is.
SAME = {"one": np.eye(3, dtype=np.float32)[:, :, None, None]}


def _halved(name: str, by: int) -> list[onnx.NodeProto]:
    """Makes the picture smaller, so that it must be a multiple, and brings it back."""
    return [
        NODE("AveragePool", [name], ["a"], kernel_shape=[by, by], strides=[by, by]),
        NODE("Resize", ["a", "", "sizes"], ["b"], mode="nearest"),
        NODE("Add", ["b", name], ["c"]),
        NODE("Mul", ["c", "half"], ["d"]),
        NODE("Conv", ["d", "one"], ["y"]),
    ]


HALVED_WITH = SAME | {"sizes": np.array([1, 1, 2, 2], np.float32), "half": np.array(0.5, np.float32)}
#: Each pixel less the mean of the whole picture.
MEAN = [NODE("Conv", ["x", "one"], ["c"]), NODE("GlobalAveragePool", ["x"], ["m"]), NODE("Sub", ["c", "m"], ["y"])]


@pytest.mark.parametrize("runner", onnx_file.RUNNERS)
@pytest.mark.parametrize(
    ("network", "expected", "words"),
    [
        (
            convolutions(3, 5, scale=2),
            (2, Border.VALID, 1, 4, 4, True),
            "2x with a border of 4 px; tiles see 4 px around themselves",
        ),
        (convolutions(3, 3, scale=2, dtype=np.float16), (2, Border.VALID, 1, 3, 3, True), "2x with a border of 3 px;"),
        (
            {"nodes": [NODE("Conv", ["x", "one"], ["y"])], "constants": SAME},
            (1, Border.SAME, 1, 0, 8, True),
            "1x; tiles see 8 px",
        ),
        ({"nodes": _halved("x", 2), "constants": HALVED_WITH}, (1, Border.SAME, 2, 0, 8, True), "1x; tiles see 8 px"),
        (
            {"nodes": MEAN, "constants": SAME},
            (1, Border.SAME, 1, 0, 0, False),
            "1x; frames are computed whole, because its tiles differ",
        ),
    ],
)
def test_scale_border_and_sizes_are_found_by_running_it(
    network: dict[str, Any], expected: tuple[Any, ...], words: str, runner: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(onnx_file, "RUNNERS", (runner,))
    is_half = any(value.dtype == np.float16 for value in network.get("constants", {}).values())
    data = onnx_network(**network, kind=TensorProto.FLOAT16 if is_half else TensorProto.FLOAT)
    found = read(data, tmp_path)
    assert facts(found.architecture) == expected
    assert found.architecture.minimum_px == 32
    assert f"weights: x.onnx is an ONNX network, {words}" in found.note


def test_sizes_in_the_file_are_made_free(tmp_path: Path) -> None:
    found = read(onnx_network(**convolutions(3, scale=2), size=(256, 256)), tmp_path)
    assert facts(found.architecture) == (2, Border.VALID, 1, 2, 2, True)


def test_windows_of_twelves(tmp_path: Path) -> None:
    """As nunif's swin_unet: 48 px, and 16 more for its border."""
    nodes = [NODE("Conv", ["x", "blur"], ["v"]), *_halved("v", 48)]
    sizes, blur = np.array([1, 1, 48, 48], np.float32), np.zeros((3, 3, 17, 17), np.float32)
    blur[range(3), range(3)] = 1 / 17**2
    found = read(onnx_network(nodes, HALVED_WITH | {"sizes": sizes, "blur": blur}), tmp_path)
    assert facts(found.architecture) == (1, Border.VALID, 48, 8, 8, True)


def test_sizes_that_the_file_leaves_open(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(onnx_network(**convolutions(3, scale=2), size=(-1, -1)))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [-1] * 4))
    assert facts(read(model.SerializeToString(), tmp_path).architecture) == (2, Border.VALID, 1, 2, 2, True)


@pytest.mark.parametrize("opset", [10, 17])
def test_a_border_of_its_own_where_tiles_would_differ(opset: int, tmp_path: Path) -> None:
    """Convolutions without padding, and a mean of the whole frame: the picture is padded in the graph."""
    network = convolutions(3, scale=1)
    nodes = [network["nodes"][0], NODE("GlobalAveragePool", ["c0"], ["m"]), NODE("Sub", ["c0", "m"], ["y"])]
    found = read(onnx_network(nodes, network["constants"], opset=opset), tmp_path)
    assert facts(found.architecture) == (1, Border.SAME, 1, 0, 0, False)
    assert "1x with a border of 1 px; frames are computed whole" in found.note


def test_multiply_adds_and_the_widest_map(tmp_path: Path) -> None:
    shapes = read(onnx_network(**convolutions(3, scale=2)), tmp_path).architecture.shapes
    rows, columns = onnx_file.COUNTED_PX
    part = (rows - 2) * (columns - 2) / (rows * columns)  # that the convolution writes
    assert float(shapes.multiply_adds[0]) == pytest.approx((9 * 9 + 9 * 16) * part)
    assert float(shapes.widest) == pytest.approx(3 * 4 * (rows - 4) * (columns - 4) / (rows * columns), rel=1e-6)


def test_our_own_network_as_one_file(tmp_path: Path) -> None:
    """Means of the frame in it: it is computed whole."""
    found = read(frame_model(load_released(SE)), tmp_path)
    assert facts(found.architecture) == (2, Border.SAME, 2, 0, 0, False)


def _saved_apart(data: bytes) -> bytes:
    model = onnx.load_model_from_string(data)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return bytes(model.SerializeToString())


def _in_a_branch(data: bytes) -> bytes:
    """The external tensor in a graph of a node."""
    model = onnx.load_model_from_string(_saved_apart(data))
    tensor = model.graph.initializer[0]
    value = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    branch = helper.make_graph([NODE("Constant", [], ["z"], value=tensor)], "b", [], [value])
    model.graph.node.insert(0, NODE("If", ["x"], ["q"], then_branch=branch, else_branch=branch))
    del model.graph.initializer[:]
    return bytes(model.SerializeToString())


def _with(data: bytes, change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_model_from_string(data)
    change(model)
    return bytes(model.SerializeToString())


def _more_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("strength", TensorProto.FLOAT, [1]))


def _more_outputs(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("c0", TensorProto.FLOAT, None))


PLAIN = onnx_network(**convolutions(3, scale=2))


def after_a_convolution(*nodes: onnx.NodeProto, opset: int = 17, **constants: np.ndarray) -> bytes:
    """What makes ``y`` of ``c``, which is the picture."""
    return onnx_network([NODE("Conv", ["x", "one"], ["c"]), *nodes], SAME | constants, opset=opset)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "{path} must be an ONNX file, got one without a network; " + MEND),
        (b"\x08\x08", "{path} must be an ONNX file, got one without a network; " + MEND),
        (b"garbage" * 9, "{path} must be an ONNX file, got damaged data; " + MEND),
        (PLAIN[:-9], "{path} must be an ONNX file, got damaged data; " + MEND),
        (
            b"<!doctype html>",
            "{path} must be a weight file, got an HTML page; download the file itself, not the page about it",
        ),
        (_saved_apart(PLAIN), "{path} must hold its own weights, got some in another file; save it as one file"),
        (_in_a_branch(PLAIN), "{path} must hold its own weights, got some in another file; save it as one file"),
        (_with(PLAIN, _more_inputs), "{path} must have one input, got 2; " + OTHER),
        (_with(PLAIN, _more_outputs), "{path} must have one output, got 2; " + OTHER),
        (
            onnx_network([NODE("Conv", ["x", "w"], ["y"])], {"w": np.ones((3, 1, 1, 1), np.float32)}, channels=1),
            "{path} must have an input of 1x3xHxW, got 1x1xanyxany; " + OTHER,
        ),
        (
            onnx_network([NODE("Conv", ["x", "x"], ["y"])], kind=TensorProto.UINT8),
            "{path} must have an input in FLOAT or FLOAT16, got UINT8; " + OTHER,
        ),
        (
            onnx_network([NODE("Identity", ["x"], ["y"])]),
            "{path} must have a convolution or a product of matrices, got none; " + OTHER,
        ),
        (
            after_a_convolution(NODE("Dream", ["c"], ["y"], domain="me")),
            "{path} must use ONNX's own operators, got 'me.Dream'; " + OTHER,
        ),
        (after_a_convolution(NODE("Loop", ["c"], ["y"])), "{path} must have no loops, got 'Loop'; " + OTHER),
        (
            after_a_convolution(NODE("RandomNormalLike", ["c"], ["y"])),
            "{path} must make the same picture each time, got 'RandomNormalLike'; " + OTHER,
        ),
        (
            after_a_convolution(
                NODE("ConstantOfShape", ["shape"], ["big"]),
                NODE("ReduceSum", ["big"], ["s"], keepdims=0),
                NODE("Add", ["c", "s"], ["y"]),
                shape=np.array([1, 3, 50000, 50000], np.int64),
            ),
            "{path} must have maps of at most 4096 MiB for 720x96 px, got 28611 MiB; " + OTHER,
        ),
        (
            after_a_convolution(NODE("Sub", ["c", "c"], ["d"]), NODE("Log", ["d"], ["y"])),
            "{path} must make finite numbers, got NaN or Inf; " + MEND,
        ),
        (
            after_a_convolution(NODE("GlobalAveragePool", ["c"], ["y"])),
            "{path} must make a picture whose size follows from the input's by a whole scale of at most 16 and an even "
            "border, got another; " + OTHER,
        ),
    ],
)
def test_hostile_files(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    assert refusal(path) == message.format(path=path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (after_a_convolution(NODE("Neg", ["c"], ["y"]), opset=99), "that can be loaded"),
        (after_a_convolution(NODE("Dream", ["c"], ["y"])), "that can be loaded"),
        (
            after_a_convolution(NODE("Reshape", ["c", "to"], ["y"]), to=np.array([1, 3, 99, 99], np.int64)),
            "that computes pictures of any size",
        ),
    ],
)
def test_what_a_runtime_refuses(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    assert refusal(path).startswith(f"{path} must hold a network {message}, got ")
    assert refusal(path).endswith(f" from onnxruntime; {OTHER}")


def _sized_by_values(most: float) -> bytes:
    """Its inner tensor has ``most`` values where the picture has a 1 in it, which no shape tells."""
    return after_a_convolution(
        NODE("ReduceMax", ["x"], ["m"], keepdims=0),
        NODE("Mul", ["m", "most"], ["n"]),
        NODE("Cast", ["n"], ["i"], to=TensorProto.INT64),
        NODE("Reshape", ["i", "one_axis"], ["shape"]),
        NODE("ConstantOfShape", ["shape"], ["big"]),
        NODE("ReduceSum", ["big"], ["s"], keepdims=0),
        NODE("Add", ["c", "s"], ["y"]),
        most=np.array(most, np.float32),
        one_axis=np.array([1], np.int64),
    )


def test_memory_is_limited_where_no_shape_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(_sized_by_values(1e11))
    assert refusal(path) == (
        f"{path} must hold a network that computes pictures of any size, got one that takes more than 4096 MiB from "
        f"onnxruntime; {OTHER}"
    )
    monkeypatch.setattr(onnx_file, "RUNNERS", ("openvino", "onnxruntime"))
    assert refusal(path) == (
        f"{path} must have sizes that follow from its input's, got 'ConstantOfShape' of another; "
        f"{how_to_install('onnxruntime')} and its memory is limited"
    )


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (("onnx", *onnx_file.RUNNERS), "no onnx and no ONNX Runtime or OpenVINO"),
        (onnx_file.RUNNERS, "no ONNX Runtime or OpenVINO"),
        (("onnx",), "no onnx"),
    ],
)
def test_without_a_package_the_error_says_what_would_run_it(
    missing: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, find = tmp_path / "x.onnx", onnx_file.importlib.util.find_spec
    path.write_bytes(PLAIN)
    monkeypatch.setattr(onnx_file.importlib.util, "find_spec", lambda name: None if name in missing else find(name))
    assert refusal(path) == (
        f"x.onnx must have onnx and ONNX Runtime or OpenVINO installed, got {words}; {how_to_install('onnxruntime')}"
    )
