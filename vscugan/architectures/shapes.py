"""What follows from an architecture's layers, found by running its stages on sizes in place of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any

from vscugan.architectures.architecture import Architecture, Border, Gate
from vscugan.architectures.stages import run_network

#: A picture that is large enough for every halo, in multiples.
MEASURED_MULTIPLES = 256


@dataclass(frozen=True, kw_only=True)
class FeatureMap:
    """A feature map: ``rate`` px per px of the picture, and ``extra`` px that the padding adds in all.

    ``reach_px``: how far around a place the map depends on the picture; ``stage_reach_px``: how far on what its stage
    reads. Both in px of the picture.
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
class Shapes:
    """Of a network: its maps by name, multiply-adds a px of the picture, and its widest map's values a px."""

    maps: Mapping[str, FeatureMap]
    multiply_adds: Fraction
    widest: Fraction


@dataclass(frozen=True, kw_only=True)
class _Map:
    """Stands for a map of (channels, height, width)."""

    channels: int
    height: int
    width: int
    rate: Fraction
    reach: Fraction = Fraction(0)

    def __add__(self, other: _Map) -> _Map:
        if (self.channels, self.height, self.width) != (other.channels, other.height, other.width):
            raise ValueError(f"maps that are added must be alike, got {self} and {other}")
        return replace(self, reach=max(self.reach, other.reach))

    def __mul__(self, gate: _Map) -> _Map:
        if gate.channels != self.channels:
            raise ValueError(f"a gate must have its map's {self.channels} channels, got {gate.channels}")
        return self

    def addcmul_(self, a: _Map, b: _Map) -> _Map:
        return self + a * b

    def __getitem__(self, index: tuple[slice, ...]) -> _Map:
        rows, columns = (len(range(*s.indices(px))) for s, px in zip(index[2:], (self.height, self.width), strict=True))
        return replace(self, height=rows, width=columns)


class _Sizes:
    """The operators on sizes; counts what the layers do."""

    def __init__(self, architecture: Architecture) -> None:
        self._layer = architecture.layer
        self.multiply_adds = 0
        self.multiply_adds_px = Fraction(0)
        self.widest = Fraction(0)

    def convolution(self, layer: str, x: _Map) -> _Map:
        row = self._layer[layer]
        if x.channels != row.inputs:
            raise ValueError(f"{layer} must read {row.inputs} channels, got {x.channels}")
        height, width = row.output_px(x.height), row.output_px(x.width)
        rate = x.rate * row.stride if row.transposed else x.rate / row.stride
        work = row.inputs * row.outputs * row.kernel**2
        each = (x.height * x.width, x.rate) if row.transposed else (height * width, rate)
        self.multiply_adds += work * each[0]
        self.multiply_adds_px += work * each[1] ** 2
        around = Fraction(row.kernel, row.stride) if row.transposed else Fraction(row.kernel // 2)
        y = _Map(channels=row.outputs, height=height, width=width, rate=rate, reach=x.reach + around / x.rate)
        return self._seen(y)

    def pixel_shuffle(self, x: _Map, factor: int) -> _Map:
        return self._enlarged(x, x.channels // factor**2, factor)

    def repeat_pixels(self, x: _Map, factor: int) -> _Map:
        return self._enlarged(x, x.channels, factor)

    def gate(self, gate: Gate, x: _Map) -> _Map:
        return _Map(channels=x.channels, height=1, width=1, rate=x.rate)

    def _enlarged(self, x: _Map, channels: int, factor: int) -> _Map:
        sizes = {"height": x.height * factor, "width": x.width * factor, "rate": x.rate * factor}
        return self._seen(replace(x, channels=channels, **sizes))  # type: ignore[arg-type]

    def _seen(self, x: _Map) -> _Map:
        self.widest = max(self.widest, x.channels * x.rate**2)
        return x


def _picture(architecture: Architecture, height: int, width: int) -> _Map:
    edge = 2 * architecture.pad_px
    return _Map(channels=3, height=height + edge, width=width + edge, rate=Fraction(1))


def multiply_adds(architecture: Architecture, height: int, width: int) -> int:
    """Multiply-adds of the convolutions for a picture of ``height`` x ``width``, multiples of the architecture's."""
    sizes = _Sizes(architecture)
    run_network(architecture, sizes, _picture(architecture, height, width))
    return sizes.multiply_adds


def measured(architecture: Architecture) -> Shapes:
    """The shapes of an architecture.

    Raises: ValueError where its layers and stages do not add up.
    """
    px = architecture.multiple * MEASURED_MULTIPLES
    sizes = _Sizes(architecture)
    whole = run_network(architecture, sizes, _picture(architecture, px, px))
    found: dict[str, _Map] = whole.maps
    reaches, within = {"input": Fraction(0)}, {"input": Fraction(0)}
    for stage in architecture.stages:
        # what it reads as if it were the picture: how far does this stage alone look?
        read: dict[str, Any] = {name: replace(found[name], reach=Fraction(0)) for name in stage.reads}
        cropped = {name: _cropped(x, stage.reads[name]) for name, x in read.items()}
        for name, y in stage.run(_Sizes(architecture), cropped, whole.gates).items():  # type: ignore[arg-type]
            within[name] = y.reach  # type: ignore[attr-defined]
            reaches[name] = within[name] + max(reaches[r] for r in stage.reads)
    maps = {
        name: FeatureMap(
            rate=x.rate,
            extra=x.height - int(px * x.rate),
            channels=x.channels,
            reach_px=ceil(reaches[name]),
            stage_reach_px=ceil(within[name]),
        )
        for name, x in found.items()
    }
    _check(architecture, maps)
    return Shapes(maps=maps, multiply_adds=sizes.multiply_adds_px, widest=sizes.widest)


def _cropped(x: _Map, px: int) -> _Map:
    return replace(x, height=x.height - 2 * px, width=x.width - 2 * px)


def _check(architecture: Architecture, maps: Mapping[str, FeatureMap]) -> None:
    output = maps["output"]
    if output != replace(output, rate=Fraction(architecture.scale), extra=0, channels=3):
        raise ValueError(f"{architecture.name} must end with three planes of {architecture.scale} times the size")
    uneven = [name for name, feature in maps.items() if feature.extra and architecture.border is Border.SAME]
    if uneven:
        raise ValueError(f"{architecture.name} must keep the size of its maps, got another of {uneven[0]}")
