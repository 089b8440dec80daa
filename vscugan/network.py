"""UpCunet as five stages, cut at its four squeeze-and-excitation (SE) means.

UpCunet is UNet1, whose last layer does the scaling, followed by UNet2 at the enlarged size, plus a
cropped skip. An SE block multiplies each channel by a gate that follows from the mean of the *whole*
feature map. Between two means everything is convolution, so a stage can be run tile by tile without
any difference to the whole frame, as long as the gates come from the whole maps:

===== ============================ ======================= ==========================
stage reads (crop, in px)          gates                   writes
===== ============================ ======================= ==========================
0     input                                                skip1, se1
1     se1, skip1 (4)               gate 1                  base, skip2, se2
2     se2                          gate 2                  se3
3     se3, se2 (4)                 gate 3, gate 2          se4
4     se4, skip2 (16), base (20)   gate 4                  output
===== ============================ ======================= ==========================

Maps are (1, C, H, W). ``skip1`` and ``skip2`` are cheap to compute again from ``input`` and ``base``,
so a stage that is handed no skip makes its own.

Source: the layers of Real-CUGAN's ``upcunet_v3.py`` (bilibili/ailab, MIT).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

#: A network's convolution: (layer name, x, activate) -> y; transposed where the layer is.
Convolution = Callable[[str, "Tensor", bool], "Tensor"]


class Operators(Protocol):
    """What the stages need beside sums, products and crops of maps: a runtime's, or those that write a graph."""

    def convolution(self, layer: str, x: Tensor, activate: bool) -> Tensor:
        """One layer of the network, with its leaky ReLU when ``activate``; transposed where the layer is."""

    def pixel_shuffle(self, x: Tensor, factor: int) -> Tensor:
        """(1, C * factor^2, H, W) -> (1, C, factor*H, factor*W)."""

    def repeat_pixels(self, x: Tensor, factor: int) -> Tensor:
        """(1, C, H, W) -> (1, C, factor*H, factor*W), each pixel a square."""


#: slope of every leaky ReLU of the network
LEAKY_SLOPE = 0.1
#: Pro models work on x * 0.7 + 0.15
PRO_GAIN, PRO_OFFSET = 0.7, 0.15

#: The SE blocks, in the order of their gates.
SE_BLOCKS = ("unet1.conv2.seblock", "unet2.conv2.seblock", "unet2.conv3.seblock", "unet2.conv4.seblock")
#: What graphs that take or return gates call them.
GATE_NAMES = tuple(f"gate{k + 1}" for k in range(len(SE_BLOCKS)))
#: The maps that stages 0 to 3 write for the next gate.
SE_MAPS = ("se1", "se2", "se3", "se4")


@dataclass(frozen=True, kw_only=True)
class FeatureMap:
    """Size of a feature map: ``rate`` px per input px, and ``extra`` px that the halo adds in all."""

    rate: Fraction
    extra: int
    channels: int

    def size(self, input_px: int) -> int:
        """Pixels of the map along an axis on which the (rounded-up) input has ``input_px``."""
        return int(input_px * self.rate) + self.extra


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage: the maps it reads with the pixels cropped off each side, and the maps it writes."""

    reads: Mapping[str, int]
    writes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What differs between the scales; the halo, the size multiple and the maps follow from it."""

    scale: int
    pad_px: int  #: reflected border of the input, each side
    multiple: int  #: the input's size is rounded up to a multiple of this
    tail_stride: int  #: stride of UNet1's transposed convolution ...
    tail_kernel: int  #: ... and its kernel
    tail_padding: int
    inner_channels: int = 3  #: between UNet1 and UNet2
    shuffle: int = 1  #: pixel shuffle after UNet2 (4x only)

    def enlarging(self, layer: str) -> tuple[int, int] | None:
        """Stride and padding of a layer that is a transposed convolution, None for the others."""
        if layer == "unet1.conv_bottom":
            return self.tail_stride, self.tail_padding
        return (2, 0) if layer.endswith("_up") else None

    @cache  # noqa: B019  there is one instance for each scale, and tiles ask often
    def maps(self) -> Mapping[str, FeatureMap]:
        """Every map's rate, extra pixels and channels, by the layers' own arithmetic."""
        tail = Fraction(self.tail_stride)
        skip1 = 2 * self.pad_px - 4
        se1 = skip1 // 2 - 4
        # conv3 takes 2 px, then size -> (size - 1) * stride - 2 * padding + kernel
        base = (2 * se1 - 2 - 1) * self.tail_stride - 2 * self.tail_padding + self.tail_kernel
        se2 = (base - 4) // 2 - 4
        se3 = se2 // 2 - 4
        se4 = 2 * se3 - 4
        return {
            "input": FeatureMap(rate=Fraction(1), extra=2 * self.pad_px, channels=3),
            "skip1": FeatureMap(rate=Fraction(1), extra=skip1, channels=64),
            "se1": FeatureMap(rate=Fraction(1, 2), extra=se1, channels=64),
            "base": FeatureMap(rate=tail, extra=base, channels=self.inner_channels),
            "skip2": FeatureMap(rate=tail, extra=base - 4, channels=64),
            "se2": FeatureMap(rate=tail / 2, extra=se2, channels=128),
            "se3": FeatureMap(rate=tail / 4, extra=se3, channels=128),
            "se4": FeatureMap(rate=tail / 2, extra=se4, channels=64),
            "output": FeatureMap(rate=Fraction(self.scale), extra=0, channels=3),
        }

    def stages(self, *, keep_skips: bool) -> tuple[Stage, ...]:
        """The five stages; without ``keep_skips`` the skips are computed again where they are read."""
        skip1, skip2 = ({"skip1": 4}, {"skip2": 16}) if keep_skips else ({"input": 4}, {"base": 16})
        last = {"se4": 0, "base": 20} | skip2  # without skips: base once, with the 4 px that skip2 needs
        if self.shuffle > 1:
            last["input"] = self.pad_px
        return (
            Stage(reads={"input": 0}, writes=("se1", "skip1") if keep_skips else ("se1",)),
            Stage(reads={"se1": 0} | skip1, writes=("se2", "base", "skip2") if keep_skips else ("se2", "base")),
            Stage(reads={"se2": 0}, writes=("se3",)),
            Stage(reads={"se3": 0, "se2": 4}, writes=("se4",)),
            Stage(reads=last, writes=("output",)),
        )


ARCHITECTURES = {
    2: Architecture(scale=2, pad_px=18, multiple=2, tail_stride=2, tail_kernel=4, tail_padding=3),
    3: Architecture(scale=3, pad_px=14, multiple=4, tail_stride=3, tail_kernel=5, tail_padding=2),
    4: Architecture(
        scale=4,
        pad_px=19,
        multiple=2,
        tail_stride=2,
        tail_kernel=4,
        tail_padding=3,
        inner_channels=64,
        shuffle=2,
    ),
}


def used_gates(k: int) -> tuple[int, ...]:
    """The gates, counted from 0, that stage ``k`` takes."""
    return ((), (0,), (1,), (1, 2), (3,))[k]


def crop(x: Tensor, px: int) -> Tensor:
    """A view of ``x`` without ``px`` pixels on each side."""
    return x[:, :, px:-px, px:-px] if px else x


def _first_pair(conv: Convolution, unet: str, x: Tensor) -> Tensor:
    """The two convolutions before a U-Net's skip (4 px smaller)."""
    return conv(f"{unet}.conv1.conv.2", conv(f"{unet}.conv1.conv.0", x, True), True)


def _pair(conv: Convolution, block: str, x: Tensor) -> Tensor:
    """A ``UNetConv`` block without its SE (4 px smaller)."""
    return conv(f"{block}.conv.2", conv(f"{block}.conv.0", x, True), True)


def stage0(conv: Convolution, x: Tensor) -> dict[str, Tensor]:
    """Padded input -> skip1 and the map of the first SE block."""
    skip = _first_pair(conv, "unet1", x)
    return {"skip1": skip, "se1": _pair(conv, "unet1.conv2", conv("unet1.conv1_down", skip, True))}


def stage1(conv: Convolution, se1: Tensor, gate1: Tensor, skip1: Tensor) -> dict[str, Tensor]:
    """Gated se1 and cropped skip1 -> UNet1's output (base), skip2 and the map of the second SE block."""
    x = conv("unet1.conv2_up", se1 * gate1, True)
    x += skip1
    base = conv("unet1.conv_bottom", conv("unet1.conv3", x, True), False)
    del x
    skip = _first_pair(conv, "unet2", base)
    return {"base": base, "skip2": skip, "se2": _pair(conv, "unet2.conv2", conv("unet2.conv1_down", skip, True))}


def stage2(conv: Convolution, se2: Tensor, gate2: Tensor) -> dict[str, Tensor]:
    """Gated se2 -> the map of the third SE block."""
    return {"se3": _pair(conv, "unet2.conv3", conv("unet2.conv2_down", se2 * gate2, True))}


def stage3(conv: Convolution, se3: Tensor, gate3: Tensor, se2: Tensor, gate2: Tensor) -> dict[str, Tensor]:
    """Gated se3 and cropped, gated se2 -> the map of the fourth SE block."""
    x = conv("unet2.conv3_up", se3 * gate3, True)
    return {"se4": _pair(conv, "unet2.conv4", x.addcmul_(se2, gate2))}


def stage4(conv: Convolution, se4: Tensor, gate4: Tensor, skip2: Tensor, base: Tensor) -> Tensor:
    """Gated se4, cropped skip2 and cropped base -> UNet2's output plus base."""
    x = conv("unet2.conv4_up", se4 * gate4, True)
    x += skip2
    x = conv("unet2.conv_bottom", conv("unet2.conv5", x, True), False)
    x += base
    return x


def run_stage(
    architecture: Architecture,
    stage: int,
    operators: Operators,
    read: Mapping[str, Tensor],
    gates: list[Tensor],
) -> dict[str, Tensor]:
    """Run one stage on windows of the maps that it reads.

    ``read`` holds (1, C, H, W) windows, already cropped as ``Architecture.stages`` says; ``gates`` the
    (1, C, 1, 1) gates so far. Returns the maps by name; the output is in the network's own range.
    """
    conv = operators.convolution
    if stage == 0:
        return stage0(conv, read["input"])
    if stage == 1:
        skip = read["skip1"] if "skip1" in read else _first_pair(conv, "unet1", read["input"])
        return stage1(conv, read["se1"], gates[0], skip)
    if stage == 2:
        return stage2(conv, read["se2"], gates[1])
    if stage == 3:
        return stage3(conv, read["se3"], gates[2], read["se2"], gates[1])
    base = read["base"]
    if "skip2" in read:
        skip = read["skip2"]
    else:  # the window of base reaches 4 px further than the sum needs
        skip, base = _first_pair(conv, "unet2", base), crop(base, 4)
    x = stage4(conv, read["se4"], gates[3], skip, base)
    if architecture.shuffle > 1:
        # conv_final takes 2 px, the crop 2 more: exactly what UNet2 leaves over at 4x
        x = operators.pixel_shuffle(crop(conv("conv_final", x, False), 1), architecture.shuffle)
        x += operators.repeat_pixels(read["input"], architecture.scale)
    return {"output": x}
