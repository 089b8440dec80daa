"""RRDBNet (ESRGAN, Real-ESRGAN x4plus and x4plus anime): residual-in-residual dense blocks, then two steps of 2x.

It looks hundreds of px around each place, but little of what it makes depends on more than the nearest:
``tile_halo_px`` is what tiles are given, and docs/figures/lineage.md has what that costs.

Source: the layers of BasicSR's ``rrdbnet_arch.py`` (XPixelGroup/BasicSR, Apache-2.0), as Real-ESRGAN uses it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Border, Layer, Maps, Operators, Stage

if TYPE_CHECKING:
    from torch import Tensor

FEATURES, GROWTH = 64, 32
LEAKY_SLOPE = 0.2
#: what each block's result counts beside what it read
RESIDUAL_SCALE = 0.2
TILE_HALO_PX = 64


def _layer(name: str, inputs: int, outputs: int, slope: float | None = None) -> Layer:
    return Layer(name=name, inputs=inputs, outputs=outputs, padding=1, slope=slope)


def _dense_block(name: str) -> tuple[Layer, ...]:
    """Five convolutions, each of which reads what all before it have made."""
    inputs = [FEATURES + k * GROWTH for k in range(5)]
    first = (_layer(f"{name}.conv{k + 1}", inputs[k], GROWTH, LEAKY_SLOPE) for k in range(4))
    return (*first, _layer(f"{name}.conv5", inputs[4], FEATURES))


def _run_dense_block(ops: Operators, name: str, x: Tensor) -> Tensor:
    maps = [x]
    for k in range(4):
        maps.append(ops.convolution(f"{name}.conv{k + 1}", ops.concatenate(maps) if k else x))
    return ops.scaled_sum(ops.convolution(f"{name}.conv5", ops.concatenate(maps)), x, RESIDUAL_SCALE)


def _run(ops: Operators, maps: Maps, gates: Maps, blocks: int) -> dict[str, Tensor]:
    first = x = ops.convolution("conv_first", maps["input"])
    for block in range(blocks):
        inner = x
        for k in range(3):
            inner = _run_dense_block(ops, f"body.{block}.rdb{k + 1}", inner)
        x = ops.scaled_sum(inner, x, RESIDUAL_SCALE)
    x = ops.convolution("conv_body", x)
    x += first
    del first, inner
    for name in ("conv_up1", "conv_up2"):
        x = ops.convolution(name, ops.repeat_pixels(x, 2))
    return {"output": ops.convolution("conv_last", ops.convolution("conv_hr", x))}


def _rrdb(blocks: int) -> Architecture:
    body = (layer for b in range(blocks) for k in range(3) for layer in _dense_block(f"body.{b}.rdb{k + 1}"))
    tail = (_layer(name, FEATURES, FEATURES, LEAKY_SLOPE) for name in ("conv_up1", "conv_up2", "conv_hr"))
    return Architecture(
        name=f"rrdb-{blocks}b",
        family="RRDBNet",
        scale=4,
        border=Border.SAME,
        multiple=1,
        tile_halo_px=TILE_HALO_PX,
        layers=(
            _layer("conv_first", 3, FEATURES),
            *body,
            _layer("conv_body", FEATURES, FEATURES),
            *tail,
            _layer("conv_last", FEATURES, 3),
        ),
        stages=(Stage(run=partial(_run, blocks=blocks), reads={"input": 0}, writes=("output",)),),
        identified_by=f"body.{blocks - 1}.rdb3.conv5.weight",
    )


#: The larger one first: the smaller one's blocks are in it, too.
RRDBS = tuple(map(_rrdb, (23, 6)))
