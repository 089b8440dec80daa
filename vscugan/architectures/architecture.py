"""What an architecture is: parts, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

from vscugan.architectures.parts import FULL_RANGE, WHOLE_FRAME_PX, Border, Channels, Gate, InputRange, Layer, Stage
from vscugan.architectures.shapes import Shapes, measure
from vscugan.errors import ArgumentError


@dataclass(frozen=True, kw_only=True, eq=False)
class Architecture:
    """A network without its weights.

    ``layers``: in the order of ncnn's files; those that are fixed come last. ``stages``: they begin with the map
    ``input``, the picture as the border rule wants it, and end with ``output``, (1, 3, scale*H, scale*W); both in
    ``input_range``.
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
    #: SAME: how far tiles look around themselves where the whole reach takes too long; None = all of it, which is exact
    tile_halo_px: int | None = None
    input_range: InputRange = FULL_RANGE
    #: noise levels that one file has, along a first axis of each tensor
    levels: tuple[str, ...] = ()
    layers_of_other_scales: tuple[Layer, ...] = ()  #: that its files have, too, and this network does not use
    identified_by: str = ""  #: the tensor whose shape tells it from the others of its family
    #: of a user's whole network, which has no layers here: what was measured of it
    given_shapes: Shapes | None = None
    minimum_px: int = 1  #: smaller pictures, and windows of them, are filled up to this; a multiple of ``multiple``
    #: int8: every map but the pictures; maps that are added belong together
    channels: tuple[Channels, ...] = ()
    #: int8: layers whose output two read, and the convolution of the two: it is rounded once, for both
    skips: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def layer(self) -> Mapping[str, Layer]:
        """Layers by name."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def layers_in_files(self) -> tuple[Layer, ...]:
        """Those whose tensors a weight file has."""
        return (*(layer for layer in self.layers if layer.fixed is None), *self.layers_of_other_scales)

    @cached_property
    def tensor_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of every tensor in a weight file, by name."""
        each = (len(self.levels),) if self.levels else ()
        weights = {f"{layer.name}.weight": (*each, *layer.weight_shape) for layer in self.layers_in_files}
        biases = {f"{layer.name}.bias": (*each, layer.outputs) for layer in self.layers_in_files}
        slopes = {layer.slopes: (*each, layer.outputs) for layer in self.layers_in_files if layer.slopes}
        return weights | biases | slopes

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
        """What follows from the layers: the maps' sizes, the halo, and what a pixel costs.

        Raises: ValueError where layers and stages do not add up.
        """
        if self.given_shapes is not None:
            return self.given_shapes
        try:
            shapes = measure(self.layer, self.stages, self.multiple, self.pad_px)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        output = shapes.maps["output"]
        if output != replace(output, rate=Fraction(self.scale), extra=0, channels=3):
            raise ValueError(f"{self.name}: it must end with three planes of {self.scale} times the size")
        uneven = [name for name, feature in shapes.maps.items() if feature.extra and self.border is Border.SAME]
        if uneven:
            raise ValueError(f"{self.name}: maps must keep the picture's size, got another of {uneven[0]}")
        return shapes

    @property
    def reach_px(self) -> int:
        """How far around an area the network looks, in px of the picture."""
        return self.pad_px if self.border is Border.VALID else self.shapes.maps["output"].reach_px

    @property
    def halo_px(self) -> int:
        """How much of that tiles are given, in px of the picture."""
        return self.reach_px if self.tile_halo_px is None else min(self.tile_halo_px, self.reach_px)

    @property
    def tiles_are_exact(self) -> bool:
        """Whether tiles give the whole frame, because they see all that the network looks at."""
        return self.halo_px >= self.reach_px

    @property
    def can_tile(self) -> bool:
        """Whether anything less than the whole frame is enough for the network."""
        return self.halo_px < WHOLE_FRAME_PX

    def with_halo(self, px: int) -> Architecture:
        """The same network, whose tiles look ``px`` of the picture around themselves.

        Raises: ArgumentError where they share what the stages before have made, and need exactly what they need.
        """
        if self.border is Border.VALID or len(self.stages) > 1:
            raise ArgumentError(
                f"halo must be left out for {self.family}, got {px}; its tiles give the whole frame as they are"
            )
        return replace(self, tile_halo_px=px)
