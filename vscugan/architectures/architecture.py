"""What an architecture is: layers, stages, and how its border is treated. All else follows from these.

A network is cut into stages where something must be known of a *whole* feature map: the mean that a gate follows from.
Within a stage everything is convolution, so a stage can be run tile by tile without any difference to the whole frame,
as long as the gates come from the whole maps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from vscugan.architectures.shapes import Shapes


class Border(Enum):
    """What a network does at the picture's border."""

    VALID = "valid"  #: the picture is padded once, by reflection, and each layer shrinks its map
    SAME = "same"  #: each layer pads its map with zeros, so that maps keep their size


class Operators(Protocol):
    """What stages are made of, beside sums, products and crops of maps: a runtime's, or those that write a graph."""

    def convolution(self, layer: str, x: Tensor) -> Tensor:
        """One layer of the network, with its activation; transposed where the layer is."""

    def pixel_shuffle(self, x: Tensor, factor: int) -> Tensor:
        """(1, C * factor^2, H, W) -> (1, C, factor*H, factor*W)."""

    def repeat_pixels(self, x: Tensor, factor: int) -> Tensor:
        """(1, C, H, W) -> (1, C, factor*H, factor*W), each pixel a square."""


#: Maps or gates by name: tensors, or what stands for them.
Maps = Mapping[str, "Tensor"]


@dataclass(frozen=True, kw_only=True)
class InputRange:
    """What a network takes for black and white: ``x * gain + offset`` of a picture x in 0..1; its output likewise."""

    gain: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution: names of its tensors and their shapes, stride, and padding in px on each side."""

    name: str
    inputs: int  #: channels
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: int = 0  #: zeros that are added; of a transposed convolution, px that are taken off the result
    transposed: bool = False
    slope: float | None = None  #: of the leaky ReLU behind it, None = no activation
    dense: bool = False  #: of a gate: works on the mean of a map, and is an inner product in ncnn's files

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Architecture:
    """A network without its weights.

    ``layers``: in the order of ncnn's files. ``stages``: they begin with the map ``input``, the picture as the border
    rule wants it, and end with ``output``, (1, 3, scale*H, scale*W); both in ``input_range``.
    """

    name: str
    family: str  #: as users know it
    scale: int
    border: Border
    multiple: int  #: the picture's size is rounded up to a multiple of this
    layers: tuple[Layer, ...]
    stages: tuple[Stage, ...]
    #: the same with less to keep between the stages and more to compute, where there is something to save
    lean_stages: tuple[Stage, ...] | None = None
    pad_px: int = 0  #: VALID: reflected border of the picture, each side
    input_range: InputRange = InputRange()
    identified_by: str = ""  #: the tensor whose shape tells it from the others of its family
    #: int8: every map but the pictures; maps that are added belong together
    channels: tuple[Channels, ...] = ()
    #: int8: layers whose output two read, and the convolution of the two: it is rounded once, for both
    skips: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def layer(self) -> Mapping[str, Layer]:
        """Layers by name."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def tensor_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of every tensor, by name."""
        weights = {f"{layer.name}.weight": layer.weight_shape for layer in self.layers}
        return weights | {f"{layer.name}.bias": (layer.outputs,) for layer in self.layers}

    @cached_property
    def gates(self) -> tuple[Gate, ...]:
        """In the order in which they are made."""
        return tuple(stage.gate for stage in self.stages if stage.gate is not None)

    @property
    def takes_alpha(self) -> bool:
        """Whether ``alpha`` changes anything."""
        return any(gate.takes_alpha for gate in self.gates)

    def stages_for(self, *, lean: bool) -> tuple[Stage, ...]:
        """The stages, those that keep less where that is asked for."""
        return (self.lean_stages or self.stages) if lean else self.stages

    @cached_property
    def shapes(self) -> Shapes:
        """What follows from the layers: the maps' sizes, the halo, and what a pixel costs."""
        from vscugan.architectures.shapes import measure

        return measure(self)

    @property
    def halo_px(self) -> int:
        """How far around an area the network looks, in px of the picture."""
        return self.pad_px if self.border is Border.VALID else self.shapes.maps["output"].reach_px


def crop(x: Tensor, px: int) -> Tensor:
    """A view of ``x`` without ``px`` pixels on each side."""
    return x[:, :, px:-px, px:-px] if px else x
