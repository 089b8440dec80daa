"""The network as ONNX graphs, written by running its stages on symbols.

Graphs hold any frame size, batch 1. Names of inputs and outputs are those of ``vscugan.network``: the maps that a
stage reads and writes, ``gate1`` to ``gate4``, and ``alpha``, a (1, 1, 1, 1) factor on the last gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vscugan.models.int8 import SKIPS, Quantisation, Range, quantised_weight, written_axis
from vscugan.models.weights import Weights
from vscugan.network import (
    ARCHITECTURES,
    GATE_NAMES,
    LEAKY_SLOPE,
    PRO_GAIN,
    PRO_OFFSET,
    SE_BLOCKS,
    SE_MAPS,
    Architecture,
    Stage,
    crop,
    run_stage,
    used_gates,
)

OPSET = 17
#: sizes by number, or by name where the graph takes any
Shape = list[int | str]


class Symbol:
    """A map in a graph that is being written; stands for the Tensor that the stages expect."""

    def __init__(self, graph: GraphWriter, name: str) -> None:
        self.graph, self.name = graph, name

    def __mul__(self, other: Symbol) -> Symbol:
        return self.graph.node("Mul", self, other)

    def __add__(self, other: Symbol) -> Symbol:
        return self.graph.node("Add", self, other)

    def addcmul_(self, a: Symbol, b: Symbol) -> Symbol:
        return self + a * b

    def __getitem__(self, index: tuple[slice, ...]) -> Symbol:
        first, last = (int(index[2].start), int(index[2].stop))
        assert index[3] == index[2]  # only crops, the same on all sides
        bounds = [self.graph.constant(np.array([v, v], np.int64)) for v in (first, last)]
        return self.graph.node("Slice", self, *bounds, self.graph.constant(np.array([2, 3], np.int64)))


class StoredLast(Symbol):
    """A map that comes with channels last: gated as it is, and turned where something else reads it.

    In this order runtimes drop the turn, since their convolutions turn it back.
    """

    def __init__(self, graph: GraphWriter, stored: str) -> None:
        self.graph, self._stored, self._turned = graph, stored, ""

    @property
    def name(self) -> str:  # type: ignore[override]
        """The map's name as (1, C, H, W)."""
        if not self._turned:
            self._turned = self.graph.node("Transpose", Symbol(self.graph, self._stored), perm=[0, 3, 1, 2]).name
        return self._turned

    def __mul__(self, other: Symbol) -> Symbol:
        gate = self.graph.node("Transpose", other, perm=[0, 2, 3, 1])
        return StoredLast(self.graph, (Symbol(self.graph, self._stored) * gate).name)


class GraphWriter:
    """Collects the nodes of one graph; the ``Operators`` of the stages.

    ``quantisation``: where given, ``weights`` are ``prepared`` for it.
    """

    def __init__(self, weights: Weights, quantisation: Quantisation | None = None) -> None:
        self.architecture, self._tensors = ARCHITECTURES[weights.scale], weights.tensors
        self._ranges = {} if quantisation is None else quantisation.layers
        self._rounded: set[str] = set()
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def node(self, operator: str, *inputs: Symbol, **attributes: Any) -> Symbol:
        """Add a node and return its output."""
        name = f"{operator.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, [i.name for i in inputs], [name], **attributes))
        return Symbol(self, name)

    def constant(self, values: NDArray[Any], name: str | None = None) -> Symbol:
        """A constant; those of a name are stored once."""
        name = name or f"constant{len(self._constants)}"
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return Symbol(self, name)

    def scalar(self, value: float) -> Symbol:
        """A constant factor or summand."""
        return self.constant(np.array([value], np.float32))

    def _parameter(self, name: str) -> Symbol:
        return self.constant(self._tensors[name].numpy(), name)

    def convolution(self, layer: str, x: Symbol, activate: bool) -> Symbol:
        weight, bias = self._parameter(f"{layer}.weight"), self._parameter(f"{layer}.bias")
        if layer in self._ranges:
            x, weight = self._rounded_map(x, self._ranges[layer]), self._rounded_weight(layer)
        if enlarging := self.architecture.enlarging(layer):
            stride, padding = enlarging
            y = self.node("ConvTranspose", x, weight, bias, strides=[stride] * 2, pads=[padding] * 4)
        else:
            y = self.node("Conv", x, weight, bias, strides=[2 if layer.endswith("_down") else 1] * 2)
        if activate:
            y = self.node("LeakyRelu", y, alpha=LEAKY_SLOPE)
        skip_reader = SKIPS.get(layer, "")
        return self._rounded_map(y, self._ranges[skip_reader]) if skip_reader in self._ranges else y

    def _rounded_map(self, x: Symbol, inputs: Range) -> Symbol:
        """A map in the 256 levels of a range; a skip that is so already stays."""
        if x.name in self._rounded:
            return x
        scale = self.constant(np.array(inputs.scale, np.float32))
        zero = self.constant(np.array(inputs.zero_point, np.uint8))
        y = self.node("DequantizeLinear", self.node("QuantizeLinear", x, scale, zero), scale, zero)
        self._rounded.add(y.name)
        return y

    def _rounded_weight(self, layer: str) -> Symbol:
        """A layer's weight as int8, with a scale for each channel that it writes."""
        axis = written_axis(layer)
        codes, scales = quantised_weight(self._tensors[f"{layer}.weight"].numpy(), axis)
        constants = [self.constant(v, f"{layer}.{kind}") for v, kind in ((codes, "codes"), (scales, "scales"))]
        return self.node("DequantizeLinear", *constants, axis=axis)

    def pixel_shuffle(self, x: Symbol, factor: int) -> Symbol:
        return self.node("DepthToSpace", x, blocksize=factor, mode="CRD")

    def repeat_pixels(self, x: Symbol, factor: int) -> Symbol:
        scales = self.constant(np.array([1, 1, factor, factor], np.float32))
        return self.node(
            "Resize", x, Symbol(self, ""), scales,
            mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        )  # fmt: skip

    def gate(self, block: str, x: Symbol, alpha: Symbol | None) -> Symbol:
        """The gate of an SE block from its whole map."""
        # rows, then columns: one long fp32 sum over a large frame would round visibly
        mean = self.node("ReduceMean", self.node("ReduceMean", x, axes=[3]), axes=[2])
        for layer, function in ((f"{block}.conv1", "Relu"), (f"{block}.conv2", "Sigmoid")):
            parameters = (self._parameter(f"{layer}.weight"), self._parameter(f"{layer}.bias"))
            mean = self.node(function, self.node("Conv", mean, *parameters))
        return mean if alpha is None else mean * alpha

    def model(self, inputs: Mapping[str, Shape], outputs: Mapping[str, tuple[Symbol, Shape]]) -> bytes:
        """The finished model, serialised: inputs and outputs with their shapes."""
        nodes = [*self._nodes]
        for name, (symbol, _) in outputs.items():
            nodes.append(helper.make_node("Identity", [symbol.name], [name]))
        graph = helper.make_graph(
            nodes,
            "vscugan",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, (_, shape) in outputs.items()],
            list(self._constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="vscugan")
        model.ir_version = 8  # what opset 17 came with: older runtimes read it
        return bytes(model.SerializeToString())


def _shape(architecture: Architecture, name: str, *, channels_last: bool = False) -> Shape:
    channels, size = architecture.maps()[name].channels, [f"{name}_h", f"{name}_w"]
    return [1, *size, channels] if channels_last else [1, channels, *size]


def _gate_shape(architecture: Architecture, k: int) -> Shape:
    return [1, architecture.maps()[SE_MAPS[k]].channels, 1, 1]


def _run(writer: GraphWriter, k: int, read: Mapping[str, Symbol], gates: list[Symbol]) -> dict[str, Symbol]:
    """Stage ``k`` on symbols, which stand for the tensors that the stages are typed for."""
    made: Any = run_stage(writer.architecture, k, cast(Any, writer), cast(Any, read), cast(Any, gates))
    return dict(made)


def stage_model(
    weights: Weights, k: int, stage: Stage, quantisation: Quantisation | None = None, *, channels_last: bool
) -> bytes:
    """Stage ``k``: reads the (cropped) windows of its maps and the gates, writes its maps.

    ``channels_last``: the maps are (1, H, W, C) outside of the graph, as fast convolutions have them inside.
    """
    architecture = ARCHITECTURES[weights.scale]
    writer = GraphWriter(weights, quantisation)
    gates = [Symbol(writer, name) for name in GATE_NAMES]
    inputs = {name: _shape(architecture, name, channels_last=channels_last) for name in stage.reads}
    inputs |= {GATE_NAMES[g]: _gate_shape(architecture, g) for g in used_gates(k)}
    kind = StoredLast if channels_last else Symbol
    read = {name: kind(writer, name) for name in stage.reads}
    made = _run(writer, k, read, gates)
    if channels_last:
        made = {name: writer.node("Transpose", x, perm=[0, 2, 3, 1]) for name, x in made.items()}
    shapes = {name: _shape(architecture, name, channels_last=channels_last) for name in stage.writes}
    return writer.model(inputs, {name: (made[name], shape) for name, shape in shapes.items()})


def network_model(weights: Weights, quantisation: Quantisation | None = None, *, with_gates: bool = False) -> bytes:
    """All five stages: (1, 3, H, W), padded, in the network's range -> ``output`` in that range.

    ``with_gates``: the gates are outputs too, for which runtimes give up some of their fusing.
    """
    writer = GraphWriter(weights, quantisation)
    architecture, gates = writer.architecture, list[Symbol]()
    output = _network(writer, Symbol(writer, "input"), gates, Symbol(writer, "alpha"))
    inputs: dict[str, Shape] = {"input": _shape(architecture, "input"), "alpha": [1, 1, 1, 1]}
    outputs = {"output": (output, _shape(architecture, "output"))}
    if with_gates:
        outputs |= {name: (gates[k], _gate_shape(architecture, k)) for k, name in enumerate(GATE_NAMES)}
    return writer.model(inputs, outputs)


def gated_model(weights: Weights, quantisation: Quantisation | None = None) -> bytes:
    """All five stages with gates that are known, alpha in them: (1, 3, H, W) as in ``network_model`` -> ``output``."""
    writer = GraphWriter(weights, quantisation)
    architecture = writer.architecture
    output = _network(writer, Symbol(writer, "input"), [Symbol(writer, name) for name in GATE_NAMES])
    inputs = {"input": _shape(architecture, "input")}
    inputs |= {name: _gate_shape(architecture, k) for k, name in enumerate(GATE_NAMES)}
    return writer.model(inputs, {"output": (output, _shape(architecture, "output"))})


def frame_model(weights: Weights) -> bytes:
    """The network for other programs: RGB (1, 3, H, W) in 0..1 -> ``output`` (1, 3, scale*H, scale*W), alpha 1.

    H and W must be multiples of the architecture's ``multiple`` and larger than its ``pad_px``.
    """
    architecture = ARCHITECTURES[weights.scale]
    writer = GraphWriter(weights)
    x = Symbol(writer, "input")
    if weights.pro:
        x = x * writer.scalar(PRO_GAIN) + writer.scalar(PRO_OFFSET)
    edge = [0, 0, architecture.pad_px, architecture.pad_px]
    x = writer.node("Pad", x, writer.constant(np.array(edge * 2, np.int64)), mode="reflect")
    y = _network(writer, x, [], writer.scalar(1))
    if weights.pro:
        y = (y + writer.scalar(-PRO_OFFSET)) * writer.scalar(1 / PRO_GAIN)
    return writer.model({"input": _shape(architecture, "input")}, {"output": (y, _shape(architecture, "output"))})


def _network(writer: GraphWriter, padded: Symbol, gates: list[Symbol], alpha: Symbol | None = None) -> Symbol:
    """The stages one after the other; ``gates``, unless there are four, are filled, the last times ``alpha``."""
    maps = {"input": padded}
    for k, stage in enumerate(writer.architecture.stages(keep_skips=True)):
        read: dict[str, Any] = {name: crop(cast(Any, maps[name]), px) for name, px in stage.reads.items()}
        maps |= _run(writer, k, read, gates)
        if k == len(gates) and k < len(SE_BLOCKS):
            last = k == len(SE_BLOCKS) - 1
            gates.append(writer.gate(SE_BLOCKS[k], maps[SE_MAPS[k]], alpha if last else None))
    return maps["output"]
