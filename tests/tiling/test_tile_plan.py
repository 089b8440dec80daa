"""How much memory a plan takes."""

from __future__ import annotations

from vscugan.architectures import ARCHITECTURES
from vscugan.tiling.tile_plan import FeatureStorage, TilePlan, stored_bytes, working_bytes


def test_memory_of_the_leanest_plan_does_not_grow_with_the_frame() -> None:
    architecture, plan = ARCHITECTURES["upcunet-2x"], TilePlan(tile=(256, 256), storage=FeatureStorage.RECOMPUTE)
    small, large = (
        working_bytes(architecture, *size, plan, 4)
        + stored_bytes(architecture, *size, plan, 4)
        - 12 * size[0] * size[1]
        for size in ((720, 1280), (2160, 3840))
    )
    assert large < 1.1 * small
