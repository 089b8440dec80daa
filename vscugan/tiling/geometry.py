"""Where tiles lie: integers only, one axis at a time.

A tile owns a disjoint part of every feature map, so a mean over the parts counts each pixel once. To
compute its part a stage reads a window that is wider by that stage's own halo, which is much less than
the network's: neighbours share what the stages before have made. At the picture's border a window ends with the
picture, whichever of the two border rules the network has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Border, Stage
from vscugan.architectures.shapes import FeatureMap, round_up


@dataclass(frozen=True, kw_only=True)
class Span:
    """Half-open range of pixels on one axis."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.stop - self.start

    def moved(self, by: int) -> Span:
        """The same range, ``by`` px further."""
        return Span(start=self.start + by, stop=self.stop + by)

    def enlarged(self, factor: int) -> Span:
        """The same range at ``factor`` times the size."""
        return Span(start=self.start * factor, stop=self.stop * factor)

    def overlap(self, other: Span) -> Span:
        """What two ranges have in common; its size is 0 or less where that is nothing."""
        return Span(start=max(self.start, other.start), stop=min(self.stop, other.stop))


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
        return Rectangle(rows=self.rows.enlarged(factor), columns=self.columns.enlarged(factor))

    @property
    def index(self) -> tuple[slice, slice]:
        """Of a picture's last two axes."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)


def filled_up(architecture: Architecture, px: int) -> int:
    """The px that the network takes for an axis of ``px``: a multiple, and no less than its minimum."""
    return max(round_up(px, architecture.multiple), architecture.minimum_px)


def split(picture_px: int, tile_px: int, multiple: int) -> list[Span]:
    """Cut an axis of ``picture_px`` (a multiple of ``multiple``) into tiles of nearly equal size.

    No tile is larger than ``tile_px`` rounded up to the multiple; 0 means one tile.
    """
    largest = round_up(tile_px, multiple) if tile_px else picture_px
    count = -(-picture_px // largest)
    size = round_up(-(-picture_px // count), multiple)
    return [Span(start=at, stop=min(at + size, picture_px)) for at in range(0, picture_px, size)]


def owned(feature: FeatureMap, tile: Span, picture_px: int) -> Span:
    """The part of a map that the tile owns: disjoint, and covering the map."""
    shift = feature.extra // 2
    return Span(
        start=int(tile.start * feature.rate) + shift if tile.start else 0,
        stop=int(tile.stop * feature.rate) + shift if tile.stop < picture_px else feature.size(picture_px),
    )


def _beyond(architecture: Architecture, feature: FeatureMap, *, from_picture: bool) -> tuple[int, int]:
    """How far a map reaches beyond the picture's px that its stage runs on, before and after; in px of the picture.

    Less than 0 where its border is wrong, because zeros stood for the picture there.
    """
    if architecture.border is Border.SAME:
        reach = min(feature.reach_px if from_picture else feature.stage_reach_px, architecture.halo_px)
        return -reach, -reach
    before = feature.extra // 2
    return int(before / feature.rate), int((feature.extra - before) / feature.rate)


def compute_span(
    architecture: Architecture, stage: Stage, tile: Span, picture_px: int, *, from_picture: bool = False
) -> Span:
    """The picture's px on which a stage must run so that every map it writes covers what the tile owns.

    Running the network on px [u, v) of the picture makes of each map the range [u*rate, v*rate + extra).
    ``from_picture``: whether all stages before it run on the same px, and not on whole maps.
    """
    multiple = architecture.multiple
    beyond = [
        _beyond(architecture, architecture.shapes.maps[name], from_picture=from_picture) for name in stage.writes
    ]
    start, stop = 0, picture_px
    if tile.stop < picture_px:
        after = min(px for _, px in beyond)
        stop = min(picture_px, max(multiple, round_up(tile.stop - after, multiple)))
    if tile.start:
        before = min(px for px, _ in beyond)
        start = max(0, min((tile.start + before) // multiple * multiple, stop - multiple))
    return Span(start=start, stop=stop)


def compute_spans(
    architecture: Architecture,
    stages: Sequence[Stage],
    tiles: Sequence[Span],
    picture_px: int,
    *,
    from_picture: bool = False,
) -> list[Span]:
    """For each tile of an axis, px of the picture that hold its ``compute_span`` for all the stages.

    All are of one size, since runtimes pay for each new shape, and none is less than the network's minimum.
    """
    spans = []
    for tile in tiles:
        each = [compute_span(architecture, stage, tile, picture_px, from_picture=from_picture) for stage in stages]
        spans.append(Span(start=min(s.start for s in each), stop=max(s.stop for s in each)))
    size = max(architecture.minimum_px, *(span.size for span in spans))
    starts = [min(span.start, picture_px - size) for span in spans]
    return [Span(start=start, stop=start + size) for start in starts]


def window(feature: FeatureMap, at: Span, crop_px: int) -> Span:
    """The part of a map that a stage reads when it runs on the picture's px ``at``."""
    return Span(
        start=int(at.start * feature.rate) + crop_px,
        stop=int(at.stop * feature.rate) + feature.extra - crop_px,
    )
