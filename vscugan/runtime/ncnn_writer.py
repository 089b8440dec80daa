"""Writes graphs as ncnn has them: the text of a ``.param``, a zero byte, and the bytes of its ``.bin``.

Source: ncnn's pages ``param-and-model-file-structure`` and ``operators``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from vscugan.architectures.parts import Gate
from vscugan.models.ncnn import PARAM_MAGIC, TAG_FP32
from vscugan.models.weights import Weights

#: ncnn's numbers
LEAKY_RELU, RELU, SIGMOID = 2, 1, 4  # activations
ADD, MULTIPLY = 0, 2  # of BinaryOp
SUM, MEAN = 0, 3  # of Reduction
NEAREST = 1  # of Interp
IN_FP32 = 0b11  # of a layer's feature mask: neither arithmetic nor storage in fp16
WIDTH, HEIGHT = 2, 1  # axes of (C, H, W)


#: of a layer: by ncnn's numbers, arrays from -23300 downwards
type _Parameters = Mapping[int, int | str]


def ints(*values: int) -> str:
    """An array as a layer's parameter."""
    return ",".join(map(str, (len(values), *values)))


class NcnnSymbol:
    """A map in a graph that is being written; stands for the Tensor that the stages expect."""

    def __init__(self, writer: NcnnWriter, name: str) -> None:
        self.writer, self.name = writer, name

    def __mul__(self, other: NcnnSymbol) -> NcnnSymbol:
        return self.writer.layer("BinaryOp", [self, other], {0: MULTIPLY})

    def __add__(self, other: NcnnSymbol) -> NcnnSymbol:
        return self.writer.layer("BinaryOp", [self, other], {0: ADD})

    def addcmul_(self, a: NcnnSymbol, b: NcnnSymbol) -> NcnnSymbol:
        return self + a * b

    def __getitem__(self, index: tuple[slice, ...]) -> NcnnSymbol:
        first, last = (int(index[2].start), int(index[2].stop))
        assert index[3] == index[2]  # only crops, the same on all sides
        # starts, ends and axes
        return self.writer.layer("Crop", [self], {-23309: ints(first, first), -23310: ints(last, last), -23311: ints(HEIGHT, WIDTH)})


class NcnnWriter:
    """Collects the layers of one graph; the ``Operators`` of the stages."""

    def __init__(self, weights: Weights, *, takes_alpha: bool = False) -> None:
        self.architecture, self._tensors = weights.architecture, weights.tensors
        self._alpha = self.input("alpha") if takes_alpha else None
        self._layers: list[tuple[str, list[str], _Parameters]] = []
        self._data: list[bytes] = []

    def input(self, name: str) -> NcnnSymbol:
        """An input of the graph."""
        return NcnnSymbol(self, name)

    def layer(self, kind: str, inputs: Sequence[NcnnSymbol], parameters: _Parameters) -> NcnnSymbol:
        """Add a layer and return its output."""
        self._layers.append((kind, [i.name for i in inputs], dict(parameters)))
        return NcnnSymbol(self, _output(len(self._layers) - 1))

    def _with_weights(self, kind: str, layer: str, x: NcnnSymbol, parameters: _Parameters) -> NcnnSymbol:
        """A layer that has a weight and a bias."""
        row = self.architecture.layer[layer]
        weight = self._tensors[f"{layer}.weight"]
        if row.transposed:  # (in, out) of torch
            weight = weight.transpose(0, 1)
        self._data += [np.uint32(TAG_FP32).tobytes(), weight.contiguous().numpy().astype("<f4").tobytes()]
        self._data.append(self._tensors[f"{layer}.bias"].numpy().astype("<f4").tobytes())
        sizes = {0: row.outputs, 1: row.kernel, 3: row.stride, 4: row.padding, 5: 1, 6: weight.numel()}
        return self.layer(kind, [x], sizes | dict(parameters))

    def convolution(self, layer: str, x: NcnnSymbol) -> NcnnSymbol:
        """See ``Operators``."""
        row = self.architecture.layer[layer]
        activation = {} if row.slope is None else {9: LEAKY_RELU, -23310: f"1,{row.slope:e}"}
        return self._with_weights("Deconvolution" if row.transposed else "Convolution", layer, x, activation)

    def pixel_shuffle(self, x: NcnnSymbol, factor: int) -> NcnnSymbol:
        """See ``Operators``."""
        return self.layer("PixelShuffle", [x], {0: factor})

    def repeat_pixels(self, x: NcnnSymbol, factor: int) -> NcnnSymbol:
        """See ``Operators``."""
        return self.layer("Interp", [x], {0: NEAREST, 1: f"{factor:e}", 2: f"{factor:e}"})

    def _reduced(self, operation: int, x: NcnnSymbol) -> NcnnSymbol:
        """(C, 1, 1) of a map, in fp32; rows, then columns: one long sum over a large frame would round visibly."""
        for axis in (WIDTH, HEIGHT):
            x = self.layer("Reduction", [x], {0: operation, 1: 0, -23303: ints(axis), 4: 1, 5: 1, 31: IN_FP32})
        return x

    def masked_sum(self, x: NcnnSymbol, mask: NcnnSymbol) -> NcnnSymbol:
        """The sums (C, 1, 1) of a map over the px where the (1, H, W) mask is 1, and not 0."""
        return self._reduced(SUM, self.layer("BinaryOp", [x, mask], {0: MULTIPLY, 31: IN_FP32}))

    def gate(self, gate: Gate, x: NcnnSymbol) -> NcnnSymbol:
        """The gate of a whole map."""
        y = self._reduced(MEAN, x)
        for layer, activation in zip(gate.layers, (RELU, SIGMOID), strict=True):
            y = self._with_weights("Convolution", layer, y, {9: activation, 31: IN_FP32})
        return y * self._alpha if gate.takes_alpha and self._alpha is not None else y

    def model(self, inputs: Mapping[str, object], outputs: Mapping[str, tuple[NcnnSymbol, object]]) -> bytes:
        """The finished model: inputs and outputs by name; their shapes are any."""
        layers: list[_Layer] = [("Input", [], {}, name) for name in inputs]
        layers += [(kind, read, parameters, _output(k)) for k, (kind, read, parameters) in enumerate(self._layers)]
        lines = _with_one_reader(layers, {name: symbol.name for name, (symbol, _) in outputs.items()})
        blobs = sum(len(written) for *_, written in lines)
        text = [PARAM_MAGIC, f"{len(lines)} {blobs}"]
        for k, (kind, read, parameters, written) in enumerate(lines):
            values = [f"{key}={value}" for key, value in parameters.items()]
            name = f"{kind.lower()}{k}"
            text.append(" ".join([kind, name, str(len(read)), str(len(written)), *read, *written, *values]))
        return "\n".join(text).encode() + b"\n\0" + b"".join(self._data)


def _output(layer: int) -> str:
    """The name of what a layer writes."""
    return f"map{layer}"


#: kind, what it reads, parameters, what it writes
type _Layer = tuple[str, list[str], _Parameters, str]
type _Line = tuple[str, list[str], _Parameters, list[str]]


def _with_one_reader(layers: Sequence[_Layer], outputs: Mapping[str, str]) -> list[_Line]:
    """The layers as lines, in which each blob has one reader, as ncnn wants it.

    What several read is split, and ``outputs``, (name, what it is), are the names of blobs that none reads.
    """
    wires: dict[str, list[str]] = {}
    for output, blob in outputs.items():
        wires.setdefault(blob, []).append(output)
    for blob, count in Counter(blob for _, read, _, _ in layers for blob in read).items():
        alone = count == 1 and blob not in wires
        wires.setdefault(blob, []).extend([blob] if alone else [f"{blob}_{k}" for k in range(count)])
    lines: list[_Line] = []
    for kind, read, parameters, blob in layers:
        # outputs come first: they are no layer's
        lines.append((kind, [wires[name].pop() for name in read], parameters, [blob]))
        if len(wires.get(blob, ())) > 1:
            lines.append(("Split", [blob], {}, [*wires[blob]]))
        elif blob in wires:
            lines[-1][3][:] = wires[blob]
    return lines
