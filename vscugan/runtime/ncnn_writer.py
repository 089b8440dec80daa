"""Writes graphs for ncnn: the text of a ``.param``, a zero byte, and the bytes of its ``.bin``.

Source: ncnn's pages ``param-and-model-file-structure`` and ``operators``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from vscugan.architectures.parts import Gate
from vscugan.models.ncnn import PARAM_MAGIC, TAG_FP32
from vscugan.models.weights import Weights

#: ncnn's numbers: of activations,
LEAKY_RELU, RELU, SIGMOID = 2, 1, 4
#: of BinaryOp's, Reduction's and Interp's kinds,
ADD, MULTIPLY = 0, 2
MEAN = 3
NEAREST = 1
#: of Padding's,
REPEATED = 1
#: of Eltwise's,
SUM = 1
#: of the axes of (C, H, W),
HEIGHT, WIDTH = 1, 2
#: and of arrays among parameters.
ARRAY = -23300
#: A feature mask: the layer computes in fp32, whatever it stores in.
IN_FP32 = {31: 0b1}

#: Of a layer, by ncnn's numbers.
type Parameters = Mapping[int, int | str]
#: Its kind, the blobs that it reads, its parameters, and the blobs that it writes.
type Line = tuple[str, list[str], Parameters, list[str]]


def _array(*values: int) -> str:
    """An array as a parameter: its length comes first."""
    return ",".join(map(str, (len(values), *values)))


class Symbol:
    """A map in a graph that is being written; stands for the Tensor that the stages expect."""

    def __init__(self, writer: Writer, blob: str) -> None:
        self.writer, self.blob = writer, blob

    def __mul__(self, other: Symbol) -> Symbol:
        return self.writer.layer("BinaryOp", [self, other], {0: MULTIPLY})

    def __add__(self, other: Symbol) -> Symbol:
        return self.writer.layer("BinaryOp", [self, other], {0: ADD})

    def addcmul_(self, a: Symbol, b: Symbol) -> Symbol:
        return self + a * b

    def __getitem__(self, index: tuple[slice, ...]) -> Symbol:
        first, last = (int(index[2].start), int(index[2].stop))
        assert index[3] == index[2]  # only crops, the same on all sides
        bounds = {9: (first, first), 10: (last, last), 11: (HEIGHT, WIDTH)}
        return self.writer.layer("Crop", [self], {ARRAY - key: _array(*values) for key, values in bounds.items()})


class Writer:
    """Collects the layers of one graph; see ``vscugan.runtime.graph.Writer``. ncnn's maps are (C, H, W)."""

    def __init__(self, weights: Weights) -> None:
        self.architecture, self._tensors = weights.architecture, weights.tensors
        self._layers: list[Line] = []
        self._data: list[bytes] = []
        self._outputs: dict[str, str] = {}  # their names, and the blobs that they are

    def layer(self, kind: str, inputs: Sequence[Symbol], parameters: Parameters) -> Symbol:
        """Add a layer and return its output."""
        return self._layer(kind, inputs, parameters, f"blob{len(self._layers)}")

    def _layer(self, kind: str, inputs: Sequence[Symbol], parameters: Parameters, blob: str) -> Symbol:
        self._layers.append((kind, [x.blob for x in inputs], parameters, [blob]))
        return Symbol(self, blob)

    def map_input(self, name: str) -> Symbol:
        return self._layer("Input", [], {}, name)

    def vector_input(self, name: str, channels: int) -> Symbol:
        return self._layer("Input", [], {}, name)

    def mask_input(self, name: str) -> Symbol:
        return self._layer("Input", [], {}, name)

    def _layer_with_weights(self, kind: str, layer: str, x: Symbol, parameters: Parameters) -> Symbol:
        row = self.architecture.layer[layer]
        weight, bias = self._tensors[f"{layer}.weight"], self._tensors[f"{layer}.bias"]
        weight = weight.swapaxes(0, 1) if row.transposed else weight  # (out, in) always
        for values, kind_of in ((np.array(TAG_FP32), "<u4"), (weight, "<f4"), (bias, "<f4")):
            self._data.append(np.ascontiguousarray(values, kind_of).tobytes())
        sizes = {0: row.outputs, 1: row.kernel, 3: row.stride, 4: row.padding, 5: 1, 6: weight.size}
        return self.layer(kind, [x], {**sizes, **parameters})

    def convolution(self, layer: str, x: Symbol) -> Symbol:
        row = self.architecture.layer[layer]
        activation: Parameters = {9: LEAKY_RELU, ARRAY - 10: f"1,{row.slope:e}"} if row.slope else {9: RELU}
        activation = {} if row.slope is None else activation
        y = self._layer_with_weights("Deconvolution" if row.transposed else "Convolution", layer, x, activation)
        if row.slopes:
            self._data.append(self._tensors[row.slopes].astype("<f4").tobytes())
            y = self.layer("PReLU", [y], {0: row.outputs})
        return y

    def pixel_shuffle(self, x: Symbol, factor: int) -> Symbol:
        return self.layer("PixelShuffle", [x], {0: factor})

    def repeat_pixels(self, x: Symbol, factor: int) -> Symbol:
        return self.layer("Interp", [x], {0: NEAREST, 1: f"{factor:e}", 2: f"{factor:e}"})

    def repeat_edges(self, x: Symbol, px: int) -> Symbol:
        return self.layer("Padding", [x], {0: px, 1: px, 2: px, 3: px, 4: REPEATED})

    def concatenate(self, maps: Sequence[Symbol]) -> Symbol:
        return self.layer("Concat", maps, {})

    def scaled_sum(self, x: Symbol, y: Symbol, scale: float) -> Symbol:
        return self.layer("Eltwise", [x, y], {0: SUM, ARRAY - 1: f"2,{scale:e},{1:e}"})

    def _means(self, axis: int, x: Symbol) -> Symbol:
        """A map's means along an axis, of which 1 px is left."""
        # of parameters: not all axes, these, the axes stay, and negative ones are counted as now
        return self.layer("Reduction", [x], {0: MEAN, 1: 0, ARRAY - 3: _array(axis), 4: 1, 5: 1, **IN_FP32})

    def _mean(self, x: Symbol) -> Symbol:
        # rows, then columns: one long fp32 sum over a large frame would round visibly
        return self._means(HEIGHT, self._means(WIDTH, x))

    def gate(self, gate: Gate, x: Symbol, alpha: Symbol | None) -> Symbol:
        y = self._mean(x)
        for layer, activation in zip(gate.layers, (RELU, SIGMOID), strict=True):
            y = self._layer_with_weights("Convolution", layer, y, {9: activation, **IN_FP32})
        return y if alpha is None else y * alpha

    def map_output(self, name: str, x: Symbol) -> None:
        self._outputs[name] = x.blob

    def vector_output(self, name: str, x: Symbol, channels: int) -> None:
        self._outputs[name] = x.blob

    def row_means_output(self, name: str, x: Symbol, mask: Symbol, channels: int) -> None:
        self._outputs[name] = self._means(WIDTH, x * mask).blob

    def model(self) -> bytes:
        lines = _with_one_reader(self._layers, self._outputs)
        text = [PARAM_MAGIC, f"{len(lines)} {sum(len(written) for *_, written in lines)}"]
        for number, (kind, read, parameters, written) in enumerate(lines):
            values = [f"{key}={value}" for key, value in parameters.items()]
            counts = [str(len(read)), str(len(written))]
            text.append(" ".join([kind, f"layer{number}", *counts, *read, *written, *values]))
        return "\n".join(text).encode("ascii") + b"\n\0" + b"".join(self._data)


def _with_one_reader(layers: Sequence[Line], outputs: Mapping[str, str]) -> list[Line]:
    """The layers with what several of them read split, since in ncnn a blob has one reader, and an output none.

    ``outputs``: their names, and the blobs that they are.
    """
    names: dict[str, list[str]] = {}  # of each blob: its outputs', then its readers'
    for output, blob in outputs.items():
        names.setdefault(blob, []).append(output)
    for blob, readers in Counter(blob for _, read, _, _ in layers for blob in read).items():
        is_only = readers == 1 and blob not in names
        names.setdefault(blob, []).extend([blob] if is_only else [f"{blob}_{k}" for k in range(readers)])
    lines: list[Line] = []
    for kind, read, parameters, [blob] in layers:
        read = [names[each].pop() for each in read]
        copies = [*names.get(blob, [blob])]
        if len(copies) == 1:
            lines.append((kind, read, parameters, copies))
        else:
            lines += [(kind, read, parameters, [blob]), ("Split", [blob], {}, copies)]
    return lines


def parts(model: bytes) -> tuple[str, bytes]:
    """The text of the ``.param`` and the bytes of the ``.bin`` of what a ``Writer`` has written."""
    text, _, data = model.partition(b"\0")
    return text.decode("ascii"), data
