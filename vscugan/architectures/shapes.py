"""What follows from an architecture's layers, found by running its stages on sizes in place of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any

from vscugan.architectures.parts import Layer, Stage
from vscugan.architectures.stages import WholeMaps, run_stages

#: A picture that is large enough for every halo, in multiples.
MEASURED_MULTIPLES = 256


def round_up(px: int, multiple: int) -> int:
    """The least multiple of ``multiple`` that is at least ``px``."""
    return -(-px // multiple) * multiple


@dataclass(frozen=True, kw_only=True)
class FeatureMap:
    """A feature map: ``rate`` px per px of the picture, and ``extra`` px that the padding adds in all.

    ``reach_px``: how far around one of its px the map depends on the picture; ``stage_reach_px``: how far on what its
    stage reads. Both in px of the picture.
    """

    rate: Fraction
    extra: int
    channels: int
    reach_px: int
    stage_reach_px: int

    def size(self, picture_px: int) -> int:
        """Pixels of the map along an axis on which the (rounded-up) picture has ``picture_px``."""
        return int(picture_px * self.rate) + self.extra


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """A layer's multiply-adds: at each of its places, of which there are ``rate`` per px, and ``extra`` more, as above.

    Its places are the px that it writes; those that it reads, of a transposed convolution.
    """

    multiply_adds: int
    rate: Fraction
    extra: int


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Of a network: its maps by name, each stage's multiply-adds a px of the picture, its widest map's values a px.

    ``multiply_adds`` leaves out what the padding adds; ``costs`` does not.
    """

    maps: Mapping[str, FeatureMap]
    multiply_adds: tuple[Fraction, ...]
    costs: tuple[LayerCost, ...]
    widest: Fraction

    def frame_multiply_adds(self, height: int, width: int) -> int:
        """Those of a whole (rounded-up) picture of height x width px, with its padding."""
        return sum(
            cost.multiply_adds * (int(height * cost.rate) + cost.extra) * (int(width * cost.rate) + cost.extra)
            for cost in self.costs
        )


@dataclass(frozen=True, kw_only=True)
class _Map:
    """Stands for a map of ``channels`` and ``px`` x ``px``."""

    channels: int
    px: int
    rate: Fraction
    reach: Fraction = Fraction(0)

    def __add__(self, other: _Map) -> _Map:
        if (self.channels, self.px) != (other.channels, other.px):
            raise ValueError(f"maps that are added must be alike, got {self} and {other}")
        return replace(self, reach=max(self.reach, other.reach))

    def __mul__(self, gate: _Map) -> _Map:
        if gate.channels != self.channels:
            raise ValueError(f"a gate must have its map's {self.channels} channels, got {gate.channels}")
        return self

    def addcmul_(self, a: _Map, b: _Map) -> _Map:
        return self + a * b

    def __getitem__(self, index: tuple[slice, ...]) -> _Map:
        return replace(self, px=len(range(*index[2].indices(self.px))))

    def enlarged(self, factor: int) -> _Map:
        return replace(self, px=self.px * factor, rate=self.rate * factor)


class _Sizes:
    """The operators on sizes; counts what the layers do."""

    def __init__(self, layer: Mapping[str, Layer], picture_px: int) -> None:
        self._layer, self._picture_px = layer, picture_px
        self.costs: list[LayerCost] = []
        self.widest = Fraction(0)

    def convolution(self, layer: str, x: _Map) -> _Map:
        row = self._layer[layer]
        if x.channels != row.inputs:
            raise ValueError(f"{layer} must read {row.inputs} channels, got {x.channels}")
        rate = x.rate * row.stride if row.transposed else x.rate / row.stride
        # beyond the px that become one px, or that one px becomes
        seen = Fraction(row.kernel - 1, row.stride) if row.transposed else Fraction((row.kernel - row.stride + 1) // 2)
        written = _Map(channels=row.outputs, px=row.output_px(x.px), rate=rate, reach=x.reach + seen / x.rate)
        places = x if row.transposed else written
        extra = places.px - int(self._picture_px * places.rate)
        each = row.inputs * row.outputs * row.kernel**2
        self.costs.append(LayerCost(multiply_adds=each, rate=places.rate, extra=extra))
        return self._seen(written)

    def pixel_shuffle(self, x: _Map, factor: int) -> _Map:
        return self._seen(replace(x.enlarged(factor), channels=x.channels // factor**2))

    def repeat_pixels(self, x: _Map, factor: int) -> _Map:
        return self._seen(x.enlarged(factor))

    def repeat_edges(self, x: _Map, px: int) -> _Map:
        return replace(x, px=x.px + 2 * px)

    def concatenate(self, maps: Sequence[_Map]) -> _Map:
        if len({x.px for x in maps}) > 1:
            raise ValueError(f"maps that are joined must be of one size, got {maps}")
        return self._seen(replace(maps[0], channels=sum(x.channels for x in maps), reach=max(x.reach for x in maps)))

    def scaled_sum(self, x: _Map, y: _Map, scale: float) -> _Map:
        return x + y

    def _seen(self, x: _Map) -> _Map:
        self.widest = max(self.widest, x.channels * x.rate**2)
        return x


def measure(layer: Mapping[str, Layer], stages: Sequence[Stage], multiple: int, pad_px: int) -> Shapes:
    """The shapes of a network; ``layer``: its layers by name, ``multiple``: of a picture's size, in px.

    Raises: ValueError where layers and stages do not add up.
    """
    maps, steps = _measured_at(layer, stages, multiple * MEASURED_MULTIPLES, pad_px)
    # at an odd number of multiples nothing may be rounded away either
    if maps != _measured_at(layer, stages, multiple * (MEASURED_MULTIPLES - 1), pad_px)[0]:
        raise ValueError(f"maps must have whole px at each multiple of {multiple}")
    uneven = [name for name, feature in maps.items() if (multiple * feature.rate).denominator > 1]
    if uneven:
        raise ValueError(f"maps must have whole px for each multiple of {multiple}, got others of {uneven[0]}")
    return Shapes(maps=maps, multiply_adds=tuple(steps.multiply_adds), costs=tuple(steps.costs), widest=steps.widest)


def _measured_at(
    layer: Mapping[str, Layer], stages: Sequence[Stage], px: int, pad_px: int
) -> tuple[dict[str, FeatureMap], _Measuring]:
    """The maps of a picture of ``px`` a side, and what was seen on the way."""
    steps = _Measuring(layer, px)
    whole = WholeMaps(
        {"input": _Map(channels=3, px=px + 2 * pad_px, rate=Fraction(1))},
        {},
        steps.run,
        lambda gate, x: replace(x, px=1),
    )
    run_stages(stages, whole)
    maps = {
        name: FeatureMap(
            rate=x.rate,
            extra=x.px - int(px * x.rate),
            channels=x.channels,
            reach_px=ceil(steps.reach[name]),
            stage_reach_px=ceil(x.reach),
        )
        for name, x in whole.maps.items()
    }
    return maps, steps


class _Measuring:
    """Runs stages on sizes, each as if it read the picture itself, so that its maps have its own reach."""

    def __init__(self, layer: Mapping[str, Layer], picture_px: int) -> None:
        self._layer, self._picture_px = layer, picture_px
        self.reach = {"input": Fraction(0)}  #: on the picture
        self.multiply_adds: list[Fraction] = []
        self.costs: list[LayerCost] = []
        self.widest = Fraction(0)

    def run(self, k: int, stage: Stage, read: dict[str, Any], gates: dict[str, Any]) -> dict[str, Any]:
        sizes: Any = _Sizes(self._layer, self._picture_px)
        own = {name: replace(x, reach=Fraction(0)) for name, x in read.items()}
        written: dict[str, Any] = stage.run(sizes, own, gates)
        for name, x in written.items():
            self.reach[name] = x.reach + max(self.reach[r] for r in read)
        each = (cost.multiply_adds * cost.rate**2 for cost in sizes.costs)
        self.multiply_adds.append(sum(each, Fraction(0)))
        self.costs += sizes.costs
        self.widest = max(self.widest, sizes.widest)
        return written
