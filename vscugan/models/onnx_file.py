"""Reader of networks in ONNX: one picture in, one picture out.

Nothing is taken from beside the file. Scale, border and sizes that the network takes are found by running it on small
pictures, by ONNX Runtime or OpenVINO. The graph is then rewritten for the runtimes: ``input`` and ``output`` in fp32,
of any size.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vscugan.errors import WeightsError
from vscugan.install import how_to_install, version
from vscugan.models.probe import BOUND, difference_without_halo, drawn_picture, measured_halo
from vscugan.models.weight_file import RETRY
from vscugan.models.whole_network import (
    LARGEST_SCALE,
    Measured,
    OnnxNetwork,
    WholeNetwork,
    architecture_of,
    measured_once,
)

#: What runs the small pictures, the first that is installed.
RUNNERS = ("onnxruntime", "openvino")
#: Domains of operators that both know: ONNX's own has two names.
DOMAINS = ("", "ai.onnx")
#: What a network for pictures has no use for, and what may go on for ever.
LOOPS = frozenset({"Loop", "Scan"})
#: Before each of the file's own names, so that none is in the way.
PREFIX = "file/"
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
#: The smallest picture that is tried, in px: no smaller one is ever given to the network.
MINIMUM_PX = 64
#: Values a px that one map may have: 50 times as many as ESRGAN's widest.
MOST_VALUES_PER_PX = 50_000
CONVOLUTIONS, PRODUCTS = ("Conv", "ConvTranspose"), ("MatMul", "Gemm")
_OTHER_FILE = "use another file"


def read_onnx(data: bytes, path: Path, sha256: str) -> WholeNetwork:
    """The network and its architecture; ``sha256``: of the file, for what was measured before.

    Raises: WeightsError for what is no such network, is hostile, or can't be run here.
    """
    onnx, runner = _packages(path)
    model = _parsed(onnx, data, path)
    _check_graph(onnx, model, path)
    plain = _rewritten(onnx, model)
    trials = _Trials(onnx, runner, plain, path)
    found = measured_once("onnx", sha256, f"{runner} {version(runner)}", trials.measured)
    if found.pad_px and not found.is_valid:
        plain = _padded(onnx, plain, found.pad_px)
    border = f" with a border of {found.pad_px} px" if found.pad_px else ""
    return WholeNetwork(
        network=OnnxNetwork(model=plain),
        architecture=architecture_of("onnx", "ONNX", found),
        what=f"an ONNX network, {found.scale}x{border}; {found.tiles}",
    )


def _packages(path: Path) -> tuple[Any, str]:
    """onnx itself, and the name of the first runner that is installed."""
    runner = next((name for name in RUNNERS if importlib.util.find_spec(name)), None)
    if runner is None or importlib.util.find_spec("onnx") is None:
        raise WeightsError(
            f"{path.name} must have onnx and ONNX Runtime or OpenVINO installed, got none; {how_to_install(RUNNERS[0])}"
        )
    return importlib.import_module("onnx"), runner


def _parsed(onnx: Any, data: bytes, path: Path) -> Any:
    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # protobuf has errors of its own
        raise WeightsError(f"{path} must be an ONNX file, got damaged data; {RETRY}") from None
    if not model.graph.node:
        raise WeightsError(f"{path} must be an ONNX file, got one without a network; {RETRY}")
    return model


def _graphs(attribute: Any) -> list[Any]:
    """The graphs in an attribute of a node."""
    return [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _nodes(nodes: Any) -> Iterator[Any]:
    """Nodes, and those of the graphs in them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in _graphs(attribute):
                yield from _nodes(graph.node)


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor that is stored in a model."""
    graphs = [model.graph]
    nodes = [*_nodes(model.graph.node), *(node for function in model.functions for node in _nodes(function.node))]
    for node in nodes:
        for attribute in node.attribute:
            graphs += _graphs(attribute)
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)


def _check_graph(onnx: Any, model: Any, path: Path) -> None:
    """Raise WeightsError for what is refused without running it."""
    if any(tensor.data_location or tensor.external_data for tensor in _tensors(model)):
        raise WeightsError(f"{path} must hold its own weights, got some in another file; save it as one file")
    own = {(function.domain, function.name) for function in model.functions}
    for node in (*_nodes(model.graph.node), *(n for function in model.functions for n in _nodes(function.node))):
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
            name = f"{node.domain}.{node.op_type}"[:80]
            raise WeightsError(f"{path} must use ONNX's own operators, got {name!r}; {_OTHER_FILE}")
        if node.op_type in LOOPS:
            raise WeightsError(f"{path} must have no loops, got {node.op_type!r}; {_OTHER_FILE}")
    stored = {tensor.name for tensor in model.graph.initializer}
    for what, values in (
        ("input", [value for value in model.graph.input if value.name not in stored]),
        ("output", list(model.graph.output)),
    ):
        if len(values) != 1:
            raise WeightsError(f"{path} must have one {what}, got {len(values)}; {_OTHER_FILE}")
        _check_picture(onnx, what, values[0].type.tensor_type, path)


def _check_picture(onnx: Any, what: str, kind: Any, path: Path) -> None:
    """Raise WeightsError for what can't be a picture in 0..1."""
    types = onnx.TensorProto
    if kind.elem_type not in (types.FLOAT, types.FLOAT16):
        got = types.DataType.Name(kind.elem_type) if kind.elem_type in types.DataType.values() else "another"
        raise WeightsError(f"{path} must have an {what} in FLOAT or FLOAT16, got {got}; {_OTHER_FILE}")
    if not kind.HasField("shape"):
        return
    axes = [axis.dim_value if axis.HasField("dim_value") else 0 for axis in kind.shape.dim]
    if len(axes) != 4 or axes[0] > 1 or axes[1] not in (0, 3):
        got = "x".join(str(px or "any") for px in axes) or "one number"
        raise WeightsError(f"{path} must have an {what} of 1x3xHxW, got {got}; {_OTHER_FILE}")


def _rename(graph: Any) -> None:
    """Put ``PREFIX`` before the names of all values of a graph, and of the graphs in it."""
    for value in (*graph.input, *graph.output, *graph.initializer, *(s.values for s in graph.sparse_initializer)):
        value.name = PREFIX + value.name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [PREFIX + name if name else "" for name in names]
        for attribute in node.attribute:
            for inner in _graphs(attribute):
                _rename(inner)
    del graph.value_info[:], graph.quantization_annotation[:]


def _rewritten(onnx: Any, model: Any) -> bytes:
    """The model with ``input`` and ``output`` of any size in fp32."""
    helper, graph = onnx.helper, model.graph
    _rename(graph)
    stored = {tensor.name for tensor in graph.initializer}
    given = next(value for value in graph.input if value.name not in stored)
    made, types = graph.output[0], onnx.TensorProto
    first = helper.make_node("Cast", ["input"], [given.name], to=given.type.tensor_type.elem_type)
    last = helper.make_node("Cast", [made.name], ["output"], to=types.FLOAT)
    nodes = [first, *graph.node, last]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    for values, name in ((graph.input, "input"), (graph.output, "output")):
        values.append(helper.make_tensor_value_info(name, types.FLOAT, [1, 3, f"{name}_h", f"{name}_w"]))
    return bytes(model.SerializeToString())


def _padded(onnx: Any, plain: bytes, px: int) -> bytes:
    """The network with a reflected border of its own: for one whose tiles do not give the whole frame."""
    model = onnx.load_model_from_string(plain)
    first, border = model.graph.node[0], onnx.numpy_helper.from_array(np.array([0, 0, px, px] * 2, np.int64), "border")
    first.input[0] = "bordered"
    model.graph.initializer.append(border)
    nodes = [onnx.helper.make_node("Pad", ["input", "border"], ["bordered"], mode="reflect"), *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def _session(runner: str, model: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """What runs a rewritten model on the CPU."""
    package: Any = importlib.import_module(runner)
    if runner == "openvino":
        core = package.Core()
        compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda x: np.array(compiled(x)[0])
    options = package.SessionOptions()
    options.log_severity_level = 4  # sizes that do not fit are tried, too
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = package.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda x: np.asarray(session.run(["output"], {"input": x})[0])


class _Trials:
    """Runs a rewritten model on small pictures."""

    def __init__(self, onnx: Any, runner: str, plain: bytes, path: Path) -> None:
        self._onnx, self._runner, self._plain, self._path = onnx, runner, plain, path
        self._error: Exception | None = None

    def measured(self) -> Measured:
        """See ``Measured``. Raises: WeightsError."""
        self._widest, self._multiply_adds = self._counts()
        try:
            self._run_plain = _session(self._runner, self._plain)
        except Exception as error:  # whatever a runtime has against a graph
            raise self._refused("that can be loaded", error) from error
        multiple, scale, pad_px = self._sizes()
        minimum_px = max(MINIMUM_PX, multiple)
        try:
            return self._with_tiles(multiple, scale, pad_px, minimum_px)
        except WeightsError:
            raise
        except Exception as error:
            raise self._refused("that computes pictures of any size", error) from error

    def _refused(self, what: str, error: Exception | None) -> WeightsError:
        reason = " ".join(f"{error}".split())[:200]
        return WeightsError(f"{self._path} must hold a network {what}, got {reason} from {self._runner}; {_OTHER_FILE}")

    def _counts(self) -> tuple[float, float]:
        """The widest map's values and the multiply-adds, each a px of the picture, as far as shapes can be told.

        Before anything is run: a small file can ask for any memory.
        """
        onnx = self._onnx
        model = onnx.load_model_from_string(self._plain)
        for axis in model.graph.input[0].type.tensor_type.shape.dim[2:]:
            axis.dim_value = MINIMUM_PX
        try:
            graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        except Exception as error:
            raise self._refused("whose shapes add up", error) from error
        shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        for value in (*graph.input, *graph.value_info, *graph.output):
            shapes[value.name] = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
        widest = max(int(np.prod(shape, dtype=object)) for shape in shapes.values())
        if widest > MOST_VALUES_PER_PX * MINIMUM_PX**2:
            raise WeightsError(
                f"{self._path} must have maps of at most {MOST_VALUES_PER_PX} values a px, got "
                f"{widest // MINIMUM_PX**2}; {_OTHER_FILE}"
            )
        made = {name: shapes[name] for node in graph.node for name in node.output if name in shapes}
        widest = max((int(np.prod(shape)) for shape in made.values()), default=0)
        work = sum(_multiply_adds(node, shapes) for node in graph.node)
        return max(widest, 3 * MINIMUM_PX**2) / MINIMUM_PX**2, max(work, MINIMUM_PX**2) / MINIMUM_PX**2

    def _sizes(self) -> tuple[int, int, int]:
        """The multiple that the picture must have, the scale, and what the output lacks on each side.

        Raises: WeightsError where there are none.
        """
        for multiple in MULTIPLES:
            found = self._made_of(multiple)
            if found is not None:
                return multiple, *found
        if self._error is not None:
            raise self._refused("that computes pictures of any size", self._error) from self._error
        raise WeightsError(
            f"{self._path} must make a picture whose size follows from the input's by a whole scale of at most "
            f"{LARGEST_SCALE} and an even border, got another; {_OTHER_FILE}"
        )

    def _made_of(self, multiple: int) -> tuple[int, int] | None:
        """Scale and px that are lacking, where they are the same for all pictures of such sizes."""
        least = -(-MINIMUM_PX // multiple)
        found = set()
        for rows, columns in ((least, least + 3), (least + 1, least + 2)):
            taken = (rows * multiple, columns * multiple)
            y = self._output(drawn_picture(*taken))
            if y is None or y.ndim != 4 or y.shape[:2] != (1, 3):
                return None
            found.add(_scale_and_border(taken, (int(y.shape[2]), int(y.shape[3]))))
        return found.pop() if len(found) == 1 else None

    def _output(self, x: Tensor) -> np.ndarray | None:
        try:
            y = self._run_plain(x.numpy())
        except Exception as error:  # whatever sizes do not fit
            self._error = error
            return None
        if not np.isfinite(y).all():
            raise WeightsError(f"{self._path} must make finite numbers, got NaN or Inf; {RETRY}")
        return y

    def _with_tiles(self, multiple: int, scale: int, pad_px: int, minimum_px: int) -> Measured:
        halo: tuple[int, int | None, float]
        if pad_px:

            def bordered(x: Tensor) -> Tensor:
                return self._tensor(torch.nn.functional.pad(x, [pad_px] * 4, mode="reflect"))

            halo = multiple, 0, difference_without_halo(bordered, scale, multiple, minimum_px)
        if not pad_px or not halo[2] < BOUND:
            if pad_px:
                minimum_px = max(minimum_px, -(-(pad_px + 1) // multiple) * multiple)
                self._run_plain = _session(self._runner, _padded(self._onnx, self._plain, pad_px))
            halo = measured_halo(self._tensor, scale, multiple, minimum_px)
        return Measured(
            scale=scale, multiple=halo[0], minimum_px=-(-minimum_px // halo[0]) * halo[0], pad_px=pad_px,
            halo_px=halo[1], difference=halo[2], widest=self._widest, multiply_adds=self._multiply_adds,
        )  # fmt: skip

    def _tensor(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self._run_plain(x.contiguous().numpy()))


def _scale_and_border(taken: tuple[int, int], made: tuple[int, int]) -> tuple[int, int] | None:
    """The scale, and what is lacking on each side in px of the picture, of sizes (height, width); None where uneven."""
    scale = (made[1] - made[0]) // (taken[1] - taken[0])
    if not 1 <= scale <= LARGEST_SCALE:
        return None
    lacking = {scale * of - px for of, px in zip(taken, made, strict=True)}
    lacks = lacking.pop()
    if lacking or lacks < 0 or lacks % (2 * scale):
        return None
    return scale, lacks // (2 * scale)


def _multiply_adds(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    """What a node multiplies and adds, 0 where that is next to nothing or its shapes are not known."""
    if node.op_type not in (*CONVOLUTIONS, *PRODUCTS):
        return 0
    read, factor = (shapes.get(name, ()) for name in node.input[:2])
    made = shapes.get(node.output[0], ())
    if not (read and factor and made):
        return 0
    if node.op_type in PRODUCTS:
        return int(np.prod(made)) * read[-1]
    return int(np.prod(made if node.op_type == "Conv" else read)) * int(np.prod(factor[1:]))
