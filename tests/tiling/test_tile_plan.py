"""How much memory a plan takes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.toy_architectures import SAME, VALID

from vscugan.architectures import ARCHITECTURES
from vscugan.architectures.architecture import Architecture
from vscugan.tiling.tile_plan import FeatureStorage, TilePlan, stored_bytes, working_bytes

EACH = (*ARCHITECTURES.values(), VALID, SAME)
SIDE = st.integers(1, 3000)
TILE = st.sampled_from((0, 32, 64, 256, 512))


def test_a_tile_that_holds_the_frame_is_the_whole_of_it() -> None:
    assert TilePlan(tile=(0, 0)).whole(48, 64)
    assert TilePlan(tile=(48, 0)).whole(48, 64)
    assert TilePlan(tile=(48, 64)).whole(48, 64)
    assert not TilePlan(tile=(47, 64)).whole(48, 64)
    assert not TilePlan(tile=(64, 48)).whole(48, 64)


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_stored_bytes_by_hand(size: tuple[int, int]) -> None:
    """Per px of the picture: 3 values of the input, 8 of ``skip``, 8 of ``deep`` at half the size, 3 at twice it."""
    plans = {storage: TilePlan(tile=(32, 32), storage=storage) for storage in FeatureStorage}
    stored = {storage: stored_bytes(SAME, *size, plan, 2) for storage, plan in plans.items()}
    assert stored[FeatureStorage.DEVICE] == (3 + 8 + 8 // 4 + 3 * 4) * 48 * 64 * 2
    assert stored[FeatureStorage.RECOMPUTE] == 3 * 48 * 64 * 2


@given(st.sampled_from(EACH), SIDE, SIDE, TILE, TILE)
@settings(max_examples=100, deadline=None)
def test_less_is_stored_by_leaner_plans(
    architecture: Architecture, height: int, width: int, tile_height: int, tile_width: int
) -> None:
    kept = {
        storage: stored_bytes(architecture, height, width, TilePlan(tile=(tile_height, tile_width), storage=storage), 4)
        for storage in FeatureStorage
    }
    assert kept[FeatureStorage.DEVICE] >= kept[FeatureStorage.LEAN] > kept[FeatureStorage.RECOMPUTE]
    assert kept[FeatureStorage.LEAN] == kept[FeatureStorage.HOST]  # the same maps, elsewhere
    if architecture.lean_stages is None:
        assert kept[FeatureStorage.DEVICE] == kept[FeatureStorage.LEAN]


def test_the_lean_stages_of_upcunet_keep_less() -> None:
    for architecture in (row for row in ARCHITECTURES.values() if row.family == "UpCunet"):
        assert architecture.lean_stages
        device, lean = (
            stored_bytes(architecture, 1080, 1920, TilePlan(tile=(256, 256), storage=storage), 4)
            for storage in (FeatureStorage.DEVICE, FeatureStorage.LEAN)
        )
        assert lean < 0.8 * device


@given(st.sampled_from(EACH), SIDE, SIDE, TILE, TILE, st.sampled_from(FeatureStorage))
@settings(max_examples=100, deadline=None)
def test_bytes_grow_with_the_frame_and_with_the_tile(
    architecture: Architecture, height: int, width: int, tile_height: int, tile_width: int, storage: FeatureStorage
) -> None:
    plan = TilePlan(tile=(tile_height, tile_width), storage=storage)
    for count in (stored_bytes, working_bytes):
        base = count(architecture, height, width, plan, 2)
        assert base > 0
        assert count(architecture, height, width, plan, 4) == 2 * base
        for more in (1, 7, 500):
            assert count(architecture, height + more, width, plan, 2) >= base
            assert count(architecture, height, width + more, plan, 2) >= base
    sizes = (32, 64, 256, 512, 0)  # 0 is the whole axis
    work = [
        working_bytes(architecture, height, width, TilePlan(tile=(tile, tile), storage=storage), 4) for tile in sizes
    ]
    assert all(smaller <= larger for smaller, larger in pairwise(work))


def test_memory_of_the_leanest_plan_does_not_grow_with_the_frame() -> None:
    architecture, plan = ARCHITECTURES["upcunet-2x"], TilePlan(tile=(256, 256), storage=FeatureStorage.RECOMPUTE)
    small, large = (
        working_bytes(architecture, *size, plan, 4)
        + stored_bytes(architecture, *size, plan, 4)
        - 12 * size[0] * size[1]
        for size in ((720, 1280), (2160, 3840))
    )
    assert large < 1.1 * small
