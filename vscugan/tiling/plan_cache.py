"""Plans that worked after an out-of-memory, so that the next process starts with them."""

from __future__ import annotations

import hashlib
import json

from vscugan.cache import read_cached, write_cached
from vscugan.tiling.tile_plan import FeatureStorage, TilePlan

#: A plan is taken up again only while no more memory is free than this times what was free when it was made.
MORE_FREE = 1.25


def _file(situation: str) -> str:
    return f"plans/{hashlib.sha256(situation.encode()).hexdigest()[:32]}.json"


def remember(situation: str, plan: TilePlan, free_bytes: int) -> None:
    """Keep the plan for this situation: device, runtime, model, size, in words."""
    content = {"situation": situation, "tile": plan.tile, "storage": plan.storage.name, "free_bytes": free_bytes}
    write_cached(_file(situation), json.dumps(content).encode())


def recall(situation: str, free_bytes: int) -> TilePlan | None:
    """The plan that worked in this situation, None where there is none or more memory is free now."""
    content = read_cached(_file(situation))
    if content is None:
        return None
    try:
        kept = json.loads(content)
        if kept["situation"] != situation or free_bytes > MORE_FREE * kept["free_bytes"]:
            return None
        height, width = (int(t) for t in kept["tile"])
        return TilePlan(tile=(height, width), storage=FeatureStorage[kept["storage"]])
    except (ValueError, KeyError, TypeError):
        return None  # not ours, or cut off: as good as none
