"""Tiles: every pixel of every map is owned once, and computed from what is there."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from vscugan.architectures import ARCHITECTURES
from vscugan.tiling.geometry import compute_span, owned, split, window


@given(st.sampled_from([*ARCHITECTURES]), st.integers(1, 400), st.integers(32, 160), st.booleans())
@settings(max_examples=200, deadline=None)
def test_tiles_own_every_pixel_once(name: str, units: int, tile_px: int, lean: bool) -> None:
    architecture = ARCHITECTURES[name]
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
