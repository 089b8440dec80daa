"""What networks are made of: layers, gates, stages, and the rules for border and range.

A network is cut into stages where something must be known of a *whole* feature map: the mean that a gate follows from.
Within a stage everything is convolution, so a stage can be run tile by tile without any difference to the whole frame,
as long as the gates come from the whole maps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Border(Enum):
    """What a network does at the picture's border."""

    VALID = "valid"  #: the picture is padded once, by reflection, and each layer shrinks its map
    SAME = "same"  #: each layer pads its map with zeros, so that maps keep their size


#: The reach of a network that looks at the whole frame, whatever its size is.
WHOLE_FRAME_PX = 1 << 24


class Operators(Protocol):
    """What stages are made of, beside sums, products and crops of maps: a runtime's, or those that write a graph."""

    def convolution(self, layer: str, x: Tensor) -> Tensor:
        """One layer of the network, with its activation; transposed where the layer is."""

    def pixel_shuffle(self, x: Tensor, factor: int) -> Tensor:
        """(1, C * factor^2, H, W) -> (1, C, factor*H, factor*W)."""

    def repeat_pixels(self, x: Tensor, factor: int) -> Tensor:
        """(1, C, H, W) -> (1, C, factor*H, factor*W), each pixel a square."""

    def repeat_edges(self, x: Tensor, px: int) -> Tensor:
        """(1, C, H, W) -> (1, C, H + 2*px, W + 2*px), the outermost pixels repeated outwards."""

    def concatenate(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps of one size -> one with the channels of all, in this order."""

    def scaled_sum(self, x: Tensor, y: Tensor, scale: float) -> Tensor:
        """``x * scale + y``, where ``x`` may be written over."""


#: Maps or gates by name: tensors, or what stands for them.
Maps = Mapping[str, "Tensor"]


@dataclass(frozen=True, kw_only=True)
class InputRange:
    """What a network takes for black and white: ``x * gain + offset`` of a picture x in 0..1; its output likewise."""

    gain: float = 1.0
    offset: float = 0.0


#: The picture's own.
FULL_RANGE = InputRange()


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A convolution: names of its tensors and their shapes, stride, and padding in px on each side."""

    name: str
    inputs: int  #: channels
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: int = 0  #: zeros that are added; of a transposed convolution, px that are taken off the result
    transposed: bool = False
    slope: float | None = None  #: of the leaky ReLU behind it, None = no activation, or a PReLU
    slopes: str | None = None  #: of the PReLU behind it, the tensor that has a slope for each channel
    dense: bool = False  #: of a gate: works on the mean of a map, and is an inner product in ncnn's files
    fixed: NDArray[np.float32] | None = None  #: the weight of a layer that no file has, and whose bias is 0

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """As torch has it."""
        channels = (self.inputs, self.outputs) if self.transposed else (self.outputs, self.inputs)
        return (*channels, self.kernel, self.kernel)

    @property
    def output_axis(self) -> int:
        """The axis of the weight along which the channels lie that the layer writes."""
        return int(self.transposed)

    def output_px(self, px: int) -> int:
        """The size of what it writes, along an axis of ``px``."""
        if self.transposed:
            return (px - 1) * self.stride - 2 * self.padding + self.kernel
        return (px + 2 * self.padding - self.kernel) // self.stride + 1


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A factor for each channel of a map that follows from the map's mean (squeeze and excitation)."""

    name: str  #: of the gate, also in graphs
    map: str  #: whose mean it follows from
    layers: tuple[str, str]  #: dense ones: to fewer channels and ReLU, back to all and sigmoid
    takes_alpha: bool = False  #: whether the user's ``alpha`` is multiplied into it


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A step of the network: the maps that it reads, with the px cropped off each side, and those that it writes.

    ``run``: (operators, windows of the maps by name, gates by name) -> the maps by name; windows are cropped already.
    """

    run: Callable[[Operators, Maps, Maps], dict[str, Tensor]]
    reads: Mapping[str, int]
    writes: tuple[str, ...]
    takes: tuple[str, ...] = ()  #: names of gates
    gate: Gate | None = None  #: that follows from what it writes


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Channels that one factor each can be moved through: the layers that write them, and those that read them."""

    writers: tuple[str, ...]
    readers: tuple[str, ...]


def crop(x: Tensor, px: int) -> Tensor:
    """A view of ``x`` without ``px`` pixels on each side."""
    return x[:, :, px:-px, px:-px] if px else x
