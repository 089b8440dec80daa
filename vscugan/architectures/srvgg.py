"""SRVGGNetCompact (Real-ESRGAN's animevideo v3): a row of convolutions with PReLUs, shuffled onto the enlarged input.

One network serves all scales: it makes 4x, which is brought to 2x and 3x by bicubic resizing, as in the ncnn files.
That is a convolution with a fixed weight, which rounds the same wherever a tile lies.

Source: the layers of Real-ESRGAN's ``srvgg_arch.py`` (xinntao/Real-ESRGAN, BSD-3-Clause), and the ncnn files of 2x, 3x.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Border, Layer, Maps, Operators, Stage

if TYPE_CHECKING:
    from torch import Tensor

FEATURES = 64
CONVOLUTIONS = 16  #: between the first and the last one
NETWORK_SCALE = 4
#: of bicubic interpolation, as in ncnn and torch
CUBIC_A = -0.75

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
    if scale == NETWORK_SCALE:
        return {"output": x}
    return {"output": ops.pixel_shuffle(ops.convolution("downscale", ops.repeat_edges(x, 1)), scale)}


def cubic(distance: float, a: float = CUBIC_A) -> float:
    """The weight of a pixel at a distance, in px, in bicubic interpolation."""
    d = abs(distance)
    if d <= 1:
        return ((a + 2) * d - (a + 3)) * d * d + 1
    return (((d - 5) * d + 8) * d - 4) * a if d < 2 else 0.0


def _downscale(scale: int) -> Layer:
    """Blocks of 4x4 px, and 1 px around them, -> ``scale`` x ``scale`` px of each plane, in the channels."""
    step = NETWORK_SCALE / scale
    read = np.arange(-1, NETWORK_SCALE + 1)
    taps = np.array([[cubic(at - ((k + 0.5) * step - 0.5)) for at in read] for k in range(scale)])
    each = np.einsum("ab,cd->acbd", taps, taps).reshape(scale**2, len(read), len(read))
    weight = np.zeros((3, scale**2, 3, len(read), len(read)), np.float32)
    for plane in range(3):
        weight[plane, :, plane] = each
    return Layer(
        name="downscale",
        inputs=3,
        outputs=3 * scale**2,
        kernel=len(read),
        stride=NETWORK_SCALE,
        fixed=weight.reshape(-1, *weight.shape[2:]),
    )


def _srvgg(scale: int) -> Architecture:
    return Architecture(
        name=f"srvgg-{scale}x",
        family="SRVGGNetCompact",
        scale=scale,
        border=Border.SAME,
        multiple=1,
        layers=_LAYERS if scale == NETWORK_SCALE else (*_LAYERS, _downscale(scale)),
        stages=(Stage(run=partial(_run, scale=scale), reads={"input": 0}, writes=("output",)),),
        identified_by=f"{_LAYERS[-1].name}.weight",
    )


#: 4x first: a file of the weights alone is the network as it is.
SRVGGS = tuple(map(_srvgg, (4, 2, 3)))
