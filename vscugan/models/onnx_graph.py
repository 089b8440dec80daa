"""A user's ONNX file as a graph: what is refused without running it, and how it is rewritten for the runtimes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vscugan.errors import WeightsError
from vscugan.models.weight_file import RETRY

#: Domains of operators that every runtime knows: ONNX's own has two names.
DOMAINS = ("", "ai.onnx")
#: What a network for pictures has no use for: what may go on for ever, and what makes another picture each time.
LOOPS = frozenset({"Loop", "Scan"})
NOISE = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
#: Before each of the file's own names, so that none is in the way.
PREFIX = "file/"
OTHER_FILE = "use another file"
PADS_AS_INPUT = 11  #: the version of operators since which Pad takes its sizes so
CONVOLUTIONS, PRODUCTS = ("Conv", "ConvTranspose"), ("MatMul", "Gemm")


def rewritten(onnx: Any, data: bytes, path: Path) -> bytes:
    """A file's network with ``input`` and ``output`` of any size in fp32.

    Raises: WeightsError for what is no such network, and for what is refused without running it.
    """
    try:
        model = onnx.load_model_from_string(data)
        if not model.graph.node:
            raise WeightsError(f"{path} must be an ONNX file, got one without a network; {RETRY}")
        _check_graph(onnx, model, path)
        return _for_runtimes(onnx, model)
    except WeightsError:
        raise
    except Exception:  # protobuf has errors of its own, and names that are no text are bytes
        raise WeightsError(f"{path} must be an ONNX file, got damaged data; {RETRY}") from None


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
    nodes = [*_nodes(model.graph.node), *(node for function in model.functions for node in _nodes(function.node))]
    if not any(node.op_type in (*CONVOLUTIONS, *PRODUCTS) for node in nodes):
        # what hands its input through crashes OpenVINO (2026.4)
        raise WeightsError(f"{path} must have a convolution or a product of matrices, got none; {OTHER_FILE}")
    for node in nodes:
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
            name = f"{node.domain}.{node.op_type}"[:80]
            raise WeightsError(f"{path} must use ONNX's own operators, got {name!r}; {OTHER_FILE}")
        if node.op_type in LOOPS | NOISE:
            what = "have no loops" if node.op_type in LOOPS else "make the same picture each time"
            raise WeightsError(f"{path} must {what}, got {node.op_type!r}; {OTHER_FILE}")
    stored = {tensor.name for tensor in model.graph.initializer}
    for what, values in (
        ("input", [value for value in model.graph.input if value.name not in stored]),
        ("output", list(model.graph.output)),
    ):
        if len(values) != 1:
            raise WeightsError(f"{path} must have one {what}, got {len(values)}; {OTHER_FILE}")
        _check_picture(onnx, what, values[0].type.tensor_type, path)


def _check_picture(onnx: Any, what: str, kind: Any, path: Path) -> None:
    """Raise WeightsError for what can't be a picture in 0..1."""
    types = onnx.TensorProto
    if kind.elem_type not in (types.FLOAT, types.FLOAT16):
        got = types.DataType.Name(kind.elem_type) if kind.elem_type in types.DataType.values() else "another"
        raise WeightsError(f"{path} must have an {what} in FLOAT or FLOAT16, got {got}; {OTHER_FILE}")
    if not kind.HasField("shape"):
        return
    axes = [max(0, axis.dim_value) for axis in kind.shape.dim]
    if len(axes) != 4 or axes[0] > 1 or axes[1] not in (0, 3):
        got = "x".join(str(px or "any") for px in axes) or "one number"
        raise WeightsError(f"{path} must have an {what} of 1x3xHxW, got {got}; {OTHER_FILE}")


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


def _for_runtimes(onnx: Any, model: Any) -> bytes:
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


def padded(onnx: Any, plain: bytes, px: int) -> bytes:
    """The network with a reflected border of its own: for one whose tiles do not give the whole frame."""
    model = onnx.load_model_from_string(plain)
    sizes = [0, 0, px, px] * 2
    model.graph.node[0].input[0] = "bordered"
    version = next(each.version for each in model.opset_import if each.domain in DOMAINS)
    if version < PADS_AS_INPUT:
        pad = onnx.helper.make_node("Pad", ["input"], ["bordered"], mode="reflect", pads=sizes)
    else:
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(sizes, np.int64), "border"))
        pad = onnx.helper.make_node("Pad", ["input", "border"], ["bordered"], mode="reflect")
    nodes = [pad, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def multiply_adds(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
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
