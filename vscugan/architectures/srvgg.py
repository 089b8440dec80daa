"""SRVGGNetCompact (Real-ESRGAN's animevideo v3): a row of convolutions with PReLUs, shuffled onto the enlarged input.

One network serves all scales: it makes 4x, which is brought to 2x and 3x by bicubic resizing, as in the ncnn files.

Source: the layers of Real-ESRGAN's ``srvgg_arch.py`` (xinntao/Real-ESRGAN, BSD-3-Clause), and the ncnn files of 2x, 3x.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Border, Layer, Maps, Operators, Stage

if TYPE_CHECKING:
    from torch import Tensor

FEATURES = 64
CONVOLUTIONS = 16  #: between the first and the last one
NETWORK_SCALE = 4

_LAYERS = (
    *(
        Layer(
            name=f"body.{2 * k}",
            inputs=FEATURES if k else 3,
            outputs=FEATURES,
            padding=1,
            slopes=f"body.{2 * k + 1}.weight",
        )
        for k in range(CONVOLUTIONS + 1)
    ),
    Layer(name=f"body.{2 * CONVOLUTIONS + 2}", inputs=FEATURES, outputs=3 * NETWORK_SCALE**2, padding=1),
)


def _run(ops: Operators, maps: Maps, gates: Maps, scale: int) -> dict[str, Tensor]:
    x = maps["input"]
    for layer in _LAYERS:
        x = ops.convolution(layer.name, x)
    x = ops.pixel_shuffle(x, NETWORK_SCALE)
    x += ops.repeat_pixels(maps["input"], NETWORK_SCALE)
    return {"output": x if scale == NETWORK_SCALE else ops.resize(x, Fraction(scale, NETWORK_SCALE))}


def _srvgg(scale: int) -> Architecture:
    return Architecture(
        name=f"srvgg-{scale}x",
        family="SRVGGNetCompact",
        scale=scale,
        border=Border.SAME,
        multiple=1,
        layers=_LAYERS,
        stages=(Stage(run=partial(_run, scale=scale), reads={"input": 0}, writes=("output",)),),
        identified_by=f"{_LAYERS[-1].name}.weight",
    )


#: 4x first: a file of the weights alone is the network as it is.
SRVGGS = tuple(map(_srvgg, (4, 2, 3)))
