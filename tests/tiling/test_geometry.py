"""Tiles: every pixel of every map is owned once, and computed from what is there."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from toys.toy_architectures import SAME, VALID

from vscugan.architectures import ARCHITECTURES
from vscugan.architectures.architecture import Architecture
from vscugan.architectures.shapes import FeatureMap
from vscugan.tiling.geometry import Span, compute_span, compute_spans, owned, split, window

#: the second rounds up by more than the first
SAME_ROWS = (SAME, replace(SAME, name="toy-same-of-4", multiple=4))
EACH = (*ARCHITECTURES.values(), VALID, *SAME_ROWS)
UNITS, TILE_PX = st.integers(1, 400), st.integers(32, 160)


@given(st.sampled_from(EACH), UNITS, TILE_PX, st.booleans())
@settings(max_examples=200, deadline=None)
def test_tiles_own_every_pixel_once(architecture: Architecture, units: int, tile_px: int, lean: bool) -> None:
    size = units * architecture.multiple
    maps = architecture.shapes.maps
    tiles = split(size, tile_px, architecture.multiple)
    for stage in architecture.stages_for(lean=lean):
        for name in stage.writes:
            spans = [owned(maps[name], tile, size) for tile in tiles]
            assert spans[0].start == 0
            assert spans[-1].stop == maps[name].size(size)
            assert all(a.stop == b.start for a, b in pairwise(spans))
            for tile, span in zip(tiles, spans, strict=True):
                at = compute_span(architecture, stage, tile, size)
                written = window(maps[name], at, 0)
                assert written.start <= span.start <= span.stop <= written.stop
        for tile in tiles:
            at = compute_span(architecture, stage, tile, size)
            for name, crop_px in stage.reads.items():
                read = window(maps[name], at, crop_px)
                assert 0 <= read.start < read.stop <= maps[name].size(size)


def reach_of(feature: FeatureMap, *, from_picture: bool) -> int:
    return feature.reach_px if from_picture else feature.stage_reach_px


def holds(at: Span, tile: Span, reach_px: int, size: int) -> bool:
    """Whether ``at`` has the tile and what lies within its reach, or ends with the picture."""
    return (at.start == 0 or at.start <= tile.start - reach_px) and (at.stop == size or at.stop >= tile.stop + reach_px)


@given(st.sampled_from(SAME_ROWS), UNITS, TILE_PX, st.booleans())
@settings(max_examples=200, deadline=None)
def test_zeros_that_stand_for_the_picture_stay_out_of_a_tiles_reach(
    architecture: Architecture, units: int, tile_px: int, from_picture: bool
) -> None:
    size, multiple = units * architecture.multiple, architecture.multiple
    maps, tiles = architecture.shapes.maps, split(size, tile_px, multiple)
    reaches = []
    for stage in architecture.stages:
        reaches.append(max(reach_of(maps[name], from_picture=from_picture) for name in stage.writes))
        for tile in tiles:
            at = compute_span(architecture, stage, tile, size, from_picture=from_picture)
            assert 0 <= at.start <= tile.start < tile.stop <= at.stop <= size
            assert at.start % multiple == at.stop % multiple == 0
            assert holds(at, tile, reaches[-1], size)
    # what all stages run on, as for maps that are computed again
    spans = compute_spans(architecture, architecture.stages, tiles, size, from_picture=from_picture)
    assert len({at.size for at in spans}) == 1
    for at, tile in zip(spans, tiles, strict=True):
        assert 0 <= at.start <= tile.start < tile.stop <= at.stop <= size
        assert at.start % multiple == at.stop % multiple == 0
        assert holds(at, tile, max(reaches), size)
