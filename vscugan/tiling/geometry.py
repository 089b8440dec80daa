"""Where tiles lie: integers only, one axis at a time.

A tile owns a disjoint part of every feature map, so a mean over the parts counts each pixel once. To
compute its part a stage reads a window that is wider by that stage's own halo, which is much less than
the network's: neighbours share what the stages before have made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vscugan.network import Architecture, FeatureMap, Stage


@dataclass(frozen=True, kw_only=True)
class Span:
    """Half-open range of pixels on one axis."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """An area of a picture, in px."""

    rows: Span
    columns: Span

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.rows.size * self.columns.size

    def enlarged(self, factor: int) -> Rectangle:
        """The same area of the picture at ``factor`` times its size."""
        rows, columns = (Span(start=s.start * factor, stop=s.stop * factor) for s in (self.rows, self.columns))
        return Rectangle(rows=rows, columns=columns)

    @property
    def index(self) -> tuple[slice, slice]:
        """Of a picture's last two axes."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)


def round_up(px: int, multiple: int) -> int:
    """The least multiple of ``multiple`` that is at least ``px``."""
    return -(-px // multiple) * multiple


def split(input_px: int, tile_px: int, multiple: int) -> list[Span]:
    """Cut an axis of ``input_px`` (a multiple of ``multiple``) into tiles of nearly equal size.

    No tile is larger than ``tile_px`` rounded up to the multiple; 0 means one tile.
    """
    largest = round_up(tile_px, multiple) if tile_px else input_px
    count = -(-input_px // largest)
    size = round_up(-(-input_px // count), multiple)
    return [Span(start=at, stop=min(at + size, input_px)) for at in range(0, input_px, size)]


def owned(feature: FeatureMap, tile: Span, input_px: int) -> Span:
    """The part of a map that the tile owns: disjoint, and covering the map."""
    shift = feature.extra // 2
    return Span(
        start=int(tile.start * feature.rate) + shift if tile.start else 0,
        stop=int(tile.stop * feature.rate) + shift if tile.stop < input_px else feature.size(input_px),
    )


def core(architecture: Architecture, stage: Stage, tile: Span, input_px: int) -> Span:
    """The input pixels on which a stage must run so that every map it writes covers what the tile owns.

    Running the network on input pixels [u, v) makes of each map the range [u*rate, v*rate + extra).
    """
    maps, multiple = architecture.maps(), architecture.multiple
    start, stop = 0, input_px
    written = [maps[name] for name in stage.writes]
    if tile.stop < input_px:
        reach = min(int((f.extra - f.extra // 2) / f.rate) for f in written)
        stop = min(input_px, max(multiple, round_up(tile.stop - reach, multiple)))
    if tile.start:
        reach = min(int((f.extra // 2) / f.rate) for f in written)
        start = max(0, min((tile.start + reach) // multiple * multiple, stop - multiple))
    return Span(start=start, stop=stop)


def cores(architecture: Architecture, stages: Sequence[Stage], tiles: Sequence[Span], input_px: int) -> list[Span]:
    """For each tile of an axis, input pixels that hold its ``core`` for all the stages.

    All are of one size, since runtimes pay for each new shape.
    """
    spans = []
    for tile in tiles:
        each = [core(architecture, stage, tile, input_px) for stage in stages]
        spans.append(Span(start=min(s.start for s in each), stop=max(s.stop for s in each)))
    size = max(span.size for span in spans)
    starts = [min(span.start, input_px - size) for span in spans]
    return [Span(start=start, stop=start + size) for start in starts]


def window(feature: FeatureMap, at: Span, crop_px: int) -> Span:
    """The part of a map that a stage reads when it runs on the input pixels ``at``."""
    return Span(
        start=int(at.start * feature.rate) + crop_px,
        stop=int(at.stop * feature.rate) + feature.extra - crop_px,
    )
