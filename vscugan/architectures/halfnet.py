"""HalfNet (``model="fast"``): a row of convolutions on the picture at half its resolution, shuffled onto its own size.

Its files hold the weights of each noise level; what is loaded is the network of one level, or of a mix of two. They
hold both scales, which differ in the last layer.

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
FEATURES = 96
CONVOLUTIONS = 4  #: between the first and the last one
#: the last layer of each scale
LAST = {2: "last", 1: "last_1x"}

_MIDDLE = tuple(f"middle.{k}" for k in range(CONVOLUTIONS))
_LAYERS = (
    Layer(name="first", inputs=3, outputs=FEATURES, kernel=6, stride=2, padding=2, slope=0),
    *(Layer(name=name, inputs=FEATURES, outputs=FEATURES, padding=1, slope=0) for name in _MIDDLE),
)
_LAST_LAYERS = {
    scale: Layer(name=name, inputs=FEATURES, outputs=3 * (2 * scale) ** 2, padding=1) for scale, name in LAST.items()
}


def _run(ops: Operators, maps: Maps, gates: Maps, scale: int) -> dict[str, Tensor]:
    first = ops.convolution("first", maps["input"])
    x = first
    for name in _MIDDLE:
        x = ops.convolution(name, x)
    x += first
    return {"output": ops.pixel_shuffle(ops.convolution(LAST[scale], x), 2 * scale)}


def _halfnet(scale: int) -> Architecture:
    return Architecture(
        name=f"halfnet-{scale}x",
        family="HalfNet",
        scale=scale,
        border=Border.SAME,
        multiple=2,
        layers=(*_LAYERS, _LAST_LAYERS[scale]),
        stages=(Stage(run=partial(_run, scale=scale), reads={"input": 0}, writes=("output",)),),
        identified_by="first.weight",
        levels=LEVELS,
        layers_of_other_scales=tuple(layer for other, layer in _LAST_LAYERS.items() if other != scale),
        channels=(
            # maps that are added belong together
            Channels(writers=("first", _MIDDLE[-1]), readers=(_MIDDLE[0], LAST[scale])),
            *(Channels(writers=(a,), readers=(b,)) for a, b in pairwise(_MIDDLE)),
        ),
        skips={"first": _MIDDLE[0]},
    )


#: 2x first: it is what a file is where nobody says a scale.
HALFNETS = tuple(map(_halfnet, (2, 1)))
