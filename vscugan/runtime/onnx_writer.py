"""Writes graphs in ONNX: maps are (1, C, H, W) of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vscugan.architectures.parts import FULL_RANGE, Gate
from vscugan.architectures.stages import run_network
from vscugan.models.int8 import Quantisation, Range, quantised_weight
from vscugan.models.weights import Weights

OPSET = 17
#: sizes by number, or by name where the graph takes any
Shape = list[int | str]


class Symbol:
    """A map in a graph that is being written; stands for the Tensor that the stages expect."""

    def __init__(self, graph: Writer, name: str) -> None:
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

    def __init__(self, graph: Writer, stored: str) -> None:
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


class Writer:
    """Collects the nodes of one graph; see ``vscugan.runtime.graph.Writer``.

    ``channels_last``: the maps are (1, H, W, C) outside of the graph, as fast convolutions have them inside.
    """

    def __init__(
        self, weights: Weights, quantisation: Quantisation | None = None, *, channels_last: bool = False
    ) -> None:
        self.architecture, self._tensors = weights.architecture, weights.tensors
        self._ranges = {} if quantisation is None else quantisation.layers
        self._channels_last = channels_last
        self._inputs: dict[str, Shape] = {}
        self._outputs: dict[str, Shape] = {}
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
        return self.constant(self._tensors[name], name)

    def map_input(self, name: str) -> Symbol:
        self._inputs[name] = self._map_shape(name)
        return (StoredLast if self._channels_last else Symbol)(self, name)

    def vector_input(self, name: str, channels: int) -> Symbol:
        self._inputs[name] = [1, channels, 1, 1]
        return Symbol(self, name)

    def mask_input(self, name: str) -> Symbol:
        self._inputs[name] = [1, 1, 1, f"{name}_w"]
        return Symbol(self, name)

    def map_output(self, name: str, x: Symbol) -> None:
        if self._channels_last:
            x = self.node("Transpose", x, perm=[0, 2, 3, 1])
        self._output(name, x, self._map_shape(name))

    def vector_output(self, name: str, x: Symbol, channels: int) -> None:
        self._output(name, x, [1, channels, 1, 1])

    def row_means_output(self, name: str, x: Symbol, mask: Symbol, channels: int) -> None:
        self._output(name, self.node("ReduceMean", x * mask, axes=[3]), [1, channels, f"{name}_h", 1])

    def _output(self, name: str, x: Symbol, shape: Shape) -> None:
        self._nodes.append(helper.make_node("Identity", [x.name], [name]))
        self._outputs[name] = shape

    def _map_shape(self, name: str) -> Shape:
        channels, size = self.architecture.shapes.maps[name].channels, [f"{name}_h", f"{name}_w"]
        return [1, *size, channels] if self._channels_last else [1, channels, *size]

    def convolution(self, layer: str, x: Symbol) -> Symbol:
        row = self.architecture.layer[layer]
        weight, bias = self._parameter(f"{layer}.weight"), self._parameter(f"{layer}.bias")
        if layer in self._ranges:
            x, weight = self._rounded_map(x, self._ranges[layer]), self._rounded_weight(layer)
        window = {"strides": [row.stride] * 2} | ({"pads": [row.padding] * 4} if row.padding else {})
        y = self.node("ConvTranspose" if row.transposed else "Conv", x, weight, bias, **window)
        if row.slope is not None:
            y = self.node("LeakyRelu", y, alpha=row.slope) if row.slope else self.node("Relu", y)
        if row.slopes:
            y = self.node("PRelu", y, self.constant(self._tensors[row.slopes].reshape(-1, 1, 1), row.slopes))
        skip_reader = self.architecture.skips.get(layer, "")
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
        axis = self.architecture.layer[layer].output_axis
        codes, scales = quantised_weight(self._tensors[f"{layer}.weight"], axis)
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

    def repeat_edges(self, x: Symbol, px: int) -> Symbol:
        return self.node("Pad", x, self.constant(np.array([0, 0, px, px] * 2, np.int64)), mode="edge")

    def concatenate(self, maps: Sequence[Symbol]) -> Symbol:
        return self.node("Concat", *maps, axis=1)

    def scaled_sum(self, x: Symbol, y: Symbol, scale: float) -> Symbol:
        return x * self.scalar(scale) + y

    def gate(self, gate: Gate, x: Symbol, alpha: Symbol | None) -> Symbol:
        # rows, then columns: one long fp32 sum over a large frame would round visibly
        y = self.node("ReduceMean", self.node("ReduceMean", x, axes=[3]), axes=[2])
        for layer, function in zip(gate.layers, ("Relu", "Sigmoid"), strict=True):
            parameters = (self._parameter(f"{layer}.weight"), self._parameter(f"{layer}.bias"))
            y = self.node(function, self.node("Conv", y, *parameters))
        return y if alpha is None else y * alpha

    def model(self) -> bytes:
        graph = helper.make_graph(
            self._nodes,
            "vscugan",
            _values(self._inputs),
            _values(self._outputs),
            list(self._constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="vscugan")
        model.ir_version = 8  # what opset 17 came with: older runtimes read it
        return bytes(model.SerializeToString())


def _values(shapes: Mapping[str, Shape]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]


def frame_model(weights: Weights) -> bytes:
    """The network for other programs: RGB (1, 3, H, W) in 0..1 -> ``output`` (1, 3, scale*H, scale*W), alpha 1.

    H and W must be multiples of the architecture's ``multiple`` and larger than its ``pad_px``.
    """
    architecture, values = weights.architecture, weights.architecture.input_range
    writer = Writer(weights)
    x = writer.map_input("input")
    if values != FULL_RANGE:
        x = x * writer.scalar(values.gain) + writer.scalar(values.offset)
    if architecture.pad_px:
        edge = [0, 0, architecture.pad_px, architecture.pad_px]
        x = writer.node("Pad", x, writer.constant(np.array(edge * 2, np.int64)), mode="reflect")
    y: Symbol = run_network(architecture.stages, writer, x, make_gate=partial(writer.gate, alpha=None)).maps["output"]
    if values != FULL_RANGE:
        y = (y + writer.scalar(-values.offset)) * writer.scalar(1 / values.gain)
    writer.map_output("output", y)
    return writer.model()
