"""HalfUNet (``model="fast"``): a U-Net on the picture at half its resolution, most of it at a quarter.

Each layer of its files has a factor and a bias for each channel and noise level; what is loaded is the network of one
level, or of a mix of them. Files hold both scales, which differ in the last layer.

Source: this project's own, trained by ``training/``.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Border, Channels, Layer, Maps, Operators, Stage

if TYPE_CHECKING:
    from torch import Tensor

LEVELS = ("conservative", "no-denoise", "denoise1x", "denoise2x", "denoise3x")
FEATURES, MIDDLE_FEATURES = 64, 128
MIDDLE_LAYERS = 6
#: the last layer of each scale
LAST = {2: "last", 1: "last_1x"}


def _layer(name: str, inputs: int, outputs: int) -> Layer:
    return Layer(name=name, inputs=inputs, outputs=outputs, padding=1, slope=0)


_LAYERS = (
    Layer(name="first", inputs=3, outputs=FEATURES, kernel=6, stride=2, padding=2, slope=0),
    _layer("before", FEATURES, FEATURES),
    Layer(name="down", inputs=FEATURES, outputs=MIDDLE_FEATURES, kernel=2, stride=2, slope=0),
    *(_layer(f"middle.{k}", MIDDLE_FEATURES, MIDDLE_FEATURES) for k in range(MIDDLE_LAYERS)),
    Layer(name="up", inputs=MIDDLE_FEATURES, outputs=FEATURES, kernel=2, stride=2, transposed=True),
    _layer("after", FEATURES, FEATURES),
)
_LAST_LAYERS = {
    scale: Layer(name=name, inputs=FEATURES, outputs=3 * (2 * scale) ** 2, padding=1) for scale, name in LAST.items()
}
#: Every map of the network but the pictures; maps that are added belong together.
_CHAIN = ("down", *(f"middle.{k}" for k in range(MIDDLE_LAYERS)), "up")


def _run(ops: Operators, maps: Maps, gates: Maps, scale: int) -> dict[str, Tensor]:
    first = ops.convolution("first", maps["input"])
    before = ops.convolution("before", first)
    x = ops.convolution("down", before)
    for k in range(MIDDLE_LAYERS):
        x = ops.convolution(f"middle.{k}", x)
    x = ops.convolution("up", x)
    x += before
    del before
    x = ops.convolution("after", x)
    x += first
    return {"output": ops.pixel_shuffle(ops.convolution(LAST[scale], x), 2 * scale)}


def _half_unet(scale: int) -> Architecture:
    return Architecture(
        name=f"half-unet-{scale}x",
        family="HalfUNet",
        scale=scale,
        border=Border.SAME,
        multiple=4,
        layers=(*_LAYERS, _LAST_LAYERS[scale]),
        stages=(Stage(run=partial(_run, scale=scale), reads={"input": 0}, writes=("output",)),),
        identified_by="first.gain",
        levels=LEVELS,
        layers_of_other_scales=tuple(layer for other, layer in _LAST_LAYERS.items() if other != scale),
        channels=(
            Channels(writers=("first", "after"), readers=("before", LAST[scale])),
            Channels(writers=("before", "up"), readers=("down", "after")),
            *(Channels(writers=(a,), readers=(b,)) for a, b in pairwise(_CHAIN)),
        ),
        skips={"first": "before", "before": "down"},
    )


#: 2x first: it is what a file is where nobody says a scale.
HALF_UNETS = tuple(map(_half_unet, (2, 1)))
