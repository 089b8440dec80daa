"""upconv 7 (waifu2x's anime and photo models): six convolutions, and a transposed one that does the scaling.

Source: the layers of waifu2x's ``upconv_7`` (nagadomi/waifu2x, MIT).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Border, Layer, Maps, Operators, Stage

if TYPE_CHECKING:
    from torch import Tensor

LEAKY_SLOPE = 0.1
_CHANNELS = (3, 16, 32, 64, 128, 128, 256)
_LAYERS = (
    *(
        Layer(name=f"conv{k + 1}", inputs=inputs, outputs=outputs, slope=LEAKY_SLOPE)
        for k, (inputs, outputs) in enumerate(pairwise(_CHANNELS))
    ),
    Layer(name="conv7", inputs=256, outputs=3, kernel=4, stride=2, padding=3, transposed=True),
)


def _run(ops: Operators, maps: Maps, gates: Maps) -> dict[str, Tensor]:
    x = maps["input"]
    for layer in _LAYERS:
        x = ops.convolution(layer.name, x)
    return {"output": x}


UPCONV7 = Architecture(
    name="upconv7",
    family="upconv 7",
    scale=2,
    border=Border.VALID,
    pad_px=7,
    multiple=1,
    layers=_LAYERS,
    stages=(Stage(run=_run, reads={"input": 0}, writes=("output",)),),
    identified_by="conv7.weight",
)
