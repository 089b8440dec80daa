"""Plans that worked are taken up again."""

from __future__ import annotations

import pytest

from vscugan.cache import cache_folder
from vscugan.tiling.plan_cache import recall, remember
from vscugan.tiling.tile_plan import FeatureStorage, TilePlan

PLAN = TilePlan(tile=(64, 96), storage=FeatureStorage.LEAN)


def test_a_plan_is_recalled_while_memory_is_as_short() -> None:
    remember("here", PLAN, 1000)
    assert recall("here", 1000) == PLAN
    assert recall("here", 1250) == PLAN
    assert recall("here", 1251) is None
    assert recall("there", 1000) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"situation": "here", "tile": [1], "free_bytes": 9}'])
def test_a_broken_plan_is_none(content: bytes) -> None:
    remember("here", PLAN, 1000)
    (file,) = (cache_folder() / "plans").iterdir()
    file.write_bytes(content)
    assert recall("here", 1) is None
