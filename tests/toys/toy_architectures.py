"""Two small networks, one of each border rule, as somebody would add them: a file of data."""

from __future__ import annotations

import torch
from torch import Tensor

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Border, Gate, InputRange, Layer, Maps, Operators, Stage

_GATE = Gate(name="squeeze", map="features", layers=("se.0", "se.1"), takes_alpha=True)


def _valid_first(ops: Operators, maps: Maps, gates: Maps) -> dict[str, Tensor]:
    return {"features": ops.convolution("body.1", ops.convolution("body.0", maps["input"]))}


def _valid_last(ops: Operators, maps: Maps, gates: Maps) -> dict[str, Tensor]:
    x = ops.convolution("tail", ops.convolution("body.2", maps["features"] * gates["squeeze"]))
    x += ops.repeat_pixels(maps["input"], 2)
    return {"output": x}


#: three convolutions with a gate between them, and a transposed one; Pro's range, so that one is there that is not 0..1
VALID = Architecture(
    name="toy-valid-2x",
    family="ToyValid",
    scale=2,
    border=Border.VALID,
    pad_px=4,
    multiple=1,
    input_range=InputRange(gain=0.5, offset=0.25),
    layers=(
        Layer(name="body.0", inputs=3, outputs=8, slope=0.2),
        Layer(name="body.1", inputs=8, outputs=8, slope=0.2),
        Layer(name="se.0", inputs=8, outputs=2, kernel=1, dense=True),
        Layer(name="se.1", inputs=2, outputs=8, kernel=1, dense=True),
        Layer(name="body.2", inputs=8, outputs=8, slope=0.2),
        Layer(name="tail", inputs=8, outputs=3, kernel=4, stride=2, padding=3, transposed=True),
    ),
    stages=(
        Stage(run=_valid_first, reads={"input": 0}, writes=("features",), gate=_GATE),
        Stage(run=_valid_last, reads={"features": 0, "input": 4}, writes=("output",), takes=("squeeze",)),
    ),
    identified_by="tail.weight",
)


def _same_first(ops: Operators, maps: Maps, gates: Maps) -> dict[str, Tensor]:
    skip = ops.convolution("body.0", maps["input"])
    return {"skip": skip, "deep": ops.convolution("body.1", ops.convolution("down", skip))}


def _same_last(ops: Operators, maps: Maps, gates: Maps) -> dict[str, Tensor]:
    x = ops.convolution("up", maps["deep"])
    x += maps["skip"]
    x = ops.pixel_shuffle(ops.convolution("tail", ops.convolution("body.2", x)), 2)
    x += ops.repeat_pixels(maps["input"], 2)
    return {"output": x}


#: a U of one step whose layers pad with zeros; no gate, but two stages
SAME = Architecture(
    name="toy-same-2x",
    family="ToySame",
    scale=2,
    border=Border.SAME,
    multiple=2,
    layers=(
        Layer(name="body.0", inputs=3, outputs=8, padding=1, slope=0.2),
        Layer(name="down", inputs=8, outputs=8, kernel=2, stride=2, slope=0.2),
        Layer(name="body.1", inputs=8, outputs=8, padding=1, slope=0.2),
        Layer(name="up", inputs=8, outputs=8, kernel=2, stride=2, transposed=True, slope=0.2),
        Layer(name="body.2", inputs=8, outputs=8, padding=1, slope=0.2),
        Layer(name="tail", inputs=8, outputs=12, padding=1),
    ),
    stages=(
        Stage(run=_same_first, reads={"input": 0}, writes=("skip", "deep")),
        Stage(run=_same_last, reads={"deep": 0, "skip": 0, "input": 0}, writes=("output",)),
    ),
    identified_by="tail.weight",
)

TOYS = (VALID, SAME)


def random_weights(architecture: Architecture) -> dict[str, Tensor]:
    """Tensors by name, of a size with which the output stays near 0..1."""
    generator = torch.Generator().manual_seed(len(architecture.layers))
    return {
        name: torch.randn(shape, generator=generator) * (0.25 / max(1, shape[0] if len(shape) == 1 else 4))
        for name, shape in architecture.tensor_shapes.items()
    }


def plain(architecture: Architecture, tensors: dict[str, Tensor], x: Tensor) -> Tensor:
    """The toy of SAME by torch alone: (1, 3, H, W), even -> (1, 3, 2H, 2W)."""

    def conv(name: str, x: Tensor) -> Tensor:
        row = architecture.layer[name]
        convolve = torch.nn.functional.conv_transpose2d if row.transposed else torch.nn.functional.conv2d
        y = convolve(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], stride=row.stride, padding=row.padding)
        return y if row.slope is None else torch.nn.functional.leaky_relu(y, row.slope)

    skip = conv("body.0", x)
    y = conv("up", conv("body.1", conv("down", skip))) + skip
    y = torch.nn.functional.pixel_shuffle(conv("tail", conv("body.2", y)), 2)
    return y + torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest")
