"""UpCunet (Real-CUGAN, and waifu2x's CUNet) as five stages, cut at its four squeeze-and-excitation (SE) means.

UpCunet is UNet1, whose last layer does the scaling, followed by UNet2 at the enlarged size, plus a cropped skip. An SE
block multiplies each channel by a gate that follows from the mean of the *whole* feature map.

===== ============================ ======================= ==========================
stage reads (crop, in px)          gates                   writes
===== ============================ ======================= ==========================
0     input                                                skip1, se1
1     se1, skip1 (4)               gate 1                  base, skip2, se2
2     se2                          gate 2                  se3
3     se3, se2 (4)                 gate 3, gate 2          se4
4     se4, skip2 (16), base (20)   gate 4                  output
===== ============================ ======================= ==========================

Maps are (1, C, H, W). ``skip1`` and ``skip2`` are cheap to compute again from ``input`` and ``base``: the lean stages
do. ``alpha`` multiplies the fourth gate. waifu2x's CUNet 2x is this network, too, and its 1x differs in UNet1's last
layer.

Source: the layers of Real-CUGAN's ``upcunet_v3.py`` (bilibili/ailab, MIT).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Border, Channels, Gate, InputRange, Layer, Maps, Operators, Stage, crop

if TYPE_CHECKING:
    from torch import Tensor

#: slope of every leaky ReLU
LEAKY_SLOPE = 0.1
#: Pro models work on x * 0.7 + 0.15
PRO_RANGE = InputRange(gain=0.7, offset=0.15)

_GATES = tuple(
    Gate(
        name=f"gate{k + 1}",
        map=f"se{k + 1}",
        layers=(f"{block}.seblock.conv1", f"{block}.seblock.conv2"),
        takes_alpha=k == 3,
    )
    for k, block in enumerate(("unet1.conv2", "unet2.conv2", "unet2.conv3", "unet2.conv4"))
)


def _block(name: str, inputs: int, middle: int, outputs: int, *, se: bool = True) -> tuple[Layer, ...]:
    """Two convolutions, and the dense layers of the gate on what they write."""
    layers = (
        Layer(name=f"{name}.conv.0", inputs=inputs, outputs=middle, slope=LEAKY_SLOPE),
        Layer(name=f"{name}.conv.2", inputs=middle, outputs=outputs, slope=LEAKY_SLOPE),
    )
    if not se:
        return layers
    return (
        *layers,
        Layer(name=f"{name}.seblock.conv1", inputs=outputs, outputs=outputs // 8, kernel=1, dense=True),
        Layer(name=f"{name}.seblock.conv2", inputs=outputs // 8, outputs=outputs, kernel=1, dense=True),
    )


def _down(name: str, channels: int) -> Layer:
    return Layer(name=name, inputs=channels, outputs=channels, kernel=2, stride=2, slope=LEAKY_SLOPE)


def _up(name: str, channels: int) -> Layer:
    return replace(_down(name, channels), transposed=True)


def _layers(tail: Layer) -> tuple[Layer, ...]:
    """UNet1, whose last layer is ``tail``, and UNet2."""
    inner = tail.outputs
    return (
        *_block("unet1.conv1", 3, 32, 64, se=False),
        _down("unet1.conv1_down", 64),
        *_block("unet1.conv2", 64, 128, 64),
        _up("unet1.conv2_up", 64),
        Layer(name="unet1.conv3", inputs=64, outputs=64, slope=LEAKY_SLOPE),
        tail,
        *_block("unet2.conv1", inner, 32, 64, se=False),
        _down("unet2.conv1_down", 64),
        *_block("unet2.conv2", 64, 64, 128),
        _down("unet2.conv2_down", 128),
        *_block("unet2.conv3", 128, 256, 128),
        _up("unet2.conv3_up", 128),
        *_block("unet2.conv4", 128, 64, 64),
        _up("unet2.conv4_up", 64),
        Layer(name="unet2.conv5", inputs=64, outputs=64, slope=LEAKY_SLOPE),
        Layer(name="unet2.conv_bottom", inputs=64, outputs=inner),
    )


def _tail(outputs: int, kernel: int, stride: int, padding: int) -> Layer:
    return Layer(
        name="unet1.conv_bottom",
        inputs=64,
        outputs=outputs,
        kernel=kernel,
        stride=stride,
        padding=padding,
        transposed=True,
    )


def _pair(ops: Operators, block: str, x: Tensor) -> Tensor:
    """The two convolutions of a block (4 px smaller)."""
    return ops.convolution(f"{block}.conv.2", ops.convolution(f"{block}.conv.0", x))


def _stage0(ops: Operators, maps: Maps, gates: Maps) -> dict[str, Tensor]:
    """Padded picture -> skip1 and the map of the first gate."""
    skip = _pair(ops, "unet1.conv1", maps["input"])
    return {"skip1": skip, "se1": _pair(ops, "unet1.conv2", ops.convolution("unet1.conv1_down", skip))}


def _stage1(ops: Operators, maps: Maps, gates: Maps) -> dict[str, Tensor]:
    """Gated se1 and cropped skip1 -> UNet1's output (base), skip2 and the map of the second gate."""
    skip1 = maps["skip1"] if "skip1" in maps else _pair(ops, "unet1.conv1", maps["input"])
    x = ops.convolution("unet1.conv2_up", maps["se1"] * gates["gate1"])
    x += skip1
    base = ops.convolution("unet1.conv_bottom", ops.convolution("unet1.conv3", x))
    del x, skip1
    skip2 = _pair(ops, "unet2.conv1", base)
    return {"base": base, "skip2": skip2, "se2": _pair(ops, "unet2.conv2", ops.convolution("unet2.conv1_down", skip2))}


def _stage2(ops: Operators, maps: Maps, gates: Maps) -> dict[str, Tensor]:
    """Gated se2 -> the map of the third gate."""
    x = ops.convolution("unet2.conv2_down", maps["se2"] * gates["gate2"])
    return {"se3": _pair(ops, "unet2.conv3", x)}


def _stage3(ops: Operators, maps: Maps, gates: Maps) -> dict[str, Tensor]:
    """Gated se3 and cropped, gated se2 -> the map of the fourth gate."""
    x = ops.convolution("unet2.conv3_up", maps["se3"] * gates["gate3"])
    return {"se4": _pair(ops, "unet2.conv4", x.addcmul_(maps["se2"], gates["gate2"]))}


def _unet2(ops: Operators, maps: Maps, gates: Maps) -> Tensor:
    """Gated se4, cropped skip2 and cropped base -> UNet2's output plus base."""
    base = maps["base"]
    if "skip2" in maps:
        skip = maps["skip2"]
    else:  # the window of base reaches 4 px further than the sum needs
        skip, base = _pair(ops, "unet2.conv1", base), crop(base, 4)
    x = ops.convolution("unet2.conv4_up", maps["se4"] * gates["gate4"])
    x += skip
    del skip
    x = ops.convolution("unet2.conv_bottom", ops.convolution("unet2.conv5", x))
    x += base
    return x


def _stage4(ops: Operators, maps: Maps, gates: Maps) -> dict[str, Tensor]:
    """The output of 2x and 3x."""
    return {"output": _unet2(ops, maps, gates)}


def _stage4_of_4x(ops: Operators, maps: Maps, gates: Maps, scale: int, shuffle: int) -> dict[str, Tensor]:
    """Both nets have 64 channels at half of the output's size; the input, enlarged, is added."""
    # conv_final takes 2 px, the crop 2 more: exactly what UNet2 leaves over
    x = ops.pixel_shuffle(crop(ops.convolution("conv_final", _unet2(ops, maps, gates)), 1), shuffle)
    x += ops.repeat_pixels(maps["input"], scale)
    return {"output": x}


def _stages(last: Stage, *, lean: bool) -> tuple[Stage, ...]:
    """``last``: stage 4, whose ``reads`` are what it reads beside se4, base and skip2."""
    skip1, skip2 = ({"input": 4}, {}) if lean else ({"skip1": 4}, {"skip2": 16})
    base = {"base": 16 if lean else 20}  # without skips with the 4 px that skip2 needs
    return (
        Stage(run=_stage0, reads={"input": 0}, writes=("se1",) if lean else ("se1", "skip1"), gate=_GATES[0]),
        Stage(
            run=_stage1,
            reads={"se1": 0} | skip1,
            writes=("se2", "base") if lean else ("se2", "base", "skip2"),
            takes=("gate1",),
            gate=_GATES[1],
        ),
        Stage(run=_stage2, reads={"se2": 0}, writes=("se3",), takes=("gate2",), gate=_GATES[2]),
        Stage(run=_stage3, reads={"se3": 0, "se2": 4}, writes=("se4",), takes=("gate2", "gate3"), gate=_GATES[3]),
        replace(last, reads={"se4": 0, **base, **skip2, **last.reads}),
    )


#: Every map of the network but the pictures; maps that are added belong together.
_CHANNELS = (
    Channels(writers=("unet1.conv1.conv.0",), readers=("unet1.conv1.conv.2",)),
    Channels(writers=("unet1.conv1.conv.2", "unet1.conv2_up"), readers=("unet1.conv1_down", "unet1.conv3")),
    Channels(writers=("unet1.conv1_down",), readers=("unet1.conv2.conv.0",)),
    Channels(writers=("unet1.conv2.conv.0",), readers=("unet1.conv2.conv.2",)),
    Channels(writers=("unet1.conv2.conv.2",), readers=("unet1.conv2_up", "unet1.conv2.seblock.conv1")),
    Channels(writers=("unet1.conv3",), readers=("unet1.conv_bottom",)),
    Channels(writers=("unet2.conv1.conv.0",), readers=("unet2.conv1.conv.2",)),
    Channels(writers=("unet2.conv1.conv.2", "unet2.conv4_up"), readers=("unet2.conv1_down", "unet2.conv5")),
    Channels(writers=("unet2.conv1_down",), readers=("unet2.conv2.conv.0",)),
    Channels(writers=("unet2.conv2.conv.0",), readers=("unet2.conv2.conv.2",)),
    Channels(
        writers=("unet2.conv2.conv.2", "unet2.conv3_up"),
        readers=("unet2.conv2_down", "unet2.conv4.conv.0", "unet2.conv2.seblock.conv1"),
    ),
    Channels(writers=("unet2.conv2_down",), readers=("unet2.conv3.conv.0",)),
    Channels(writers=("unet2.conv3.conv.0",), readers=("unet2.conv3.conv.2",)),
    Channels(writers=("unet2.conv3.conv.2",), readers=("unet2.conv3_up", "unet2.conv3.seblock.conv1")),
    Channels(writers=("unet2.conv4.conv.0",), readers=("unet2.conv4.conv.2",)),
    Channels(writers=("unet2.conv4.conv.2",), readers=("unet2.conv4_up", "unet2.conv4.seblock.conv1")),
    Channels(writers=("unet2.conv5",), readers=("unet2.conv_bottom",)),
)


def _upcunet(scale: int, pad_px: int, multiple: int, tail: Layer, last: Stage, *more: Layer) -> Architecture:
    return Architecture(
        name=f"upcunet-{scale}x",
        family="UpCunet",
        scale=scale,
        border=Border.VALID,
        pad_px=pad_px,
        multiple=multiple,
        layers=(*_layers(tail), *more),
        stages=_stages(last, lean=False),
        lean_stages=_stages(last, lean=True),
        identified_by="unet1.conv_bottom.weight",
        channels=_CHANNELS,
        skips={f"{unet}.conv1.conv.2": f"{unet}.conv1_down" for unet in ("unet1", "unet2")},
    )


_LAST = Stage(run=_stage4, reads={}, writes=("output",), takes=("gate4",))
#: waifu2x's alone: Real-CUGAN has no 1x
_CUNET_1X = _upcunet(1, 28, 4, Layer(name="unet1.conv_bottom", inputs=64, outputs=3), _LAST)
_SCALES = (
    _upcunet(2, 18, 2, _tail(3, kernel=4, stride=2, padding=3), _LAST),
    _upcunet(3, 14, 4, _tail(3, kernel=5, stride=3, padding=2), _LAST),
    _upcunet(
        4,
        19,
        2,
        _tail(64, kernel=4, stride=2, padding=3),
        replace(_LAST, run=partial(_stage4_of_4x, scale=4, shuffle=2), reads={"input": 19}),
        Layer(name="conv_final", inputs=64, outputs=12),
    ),
)
#: Each scale, and those of Real-CUGAN in the range of the Pro models.
UPCUNETS = (*_SCALES, _CUNET_1X, *(replace(row, name=f"{row.name}-pro", input_range=PRO_RANGE) for row in _SCALES))
