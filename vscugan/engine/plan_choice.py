"""Which plan a frame is computed by: the fastest whose features and work fit into memory."""

from __future__ import annotations

from dataclasses import dataclass

from vscugan.runtime.protocol import Runtime
from vscugan.settings import SMALLEST_TILE_PX
from vscugan.tiling.tile_plan import FeatureStorage, TilePlan, stored_bytes, widest_map_bytes, working_bytes

#: Tiles that are tried when the whole frame does not fit, in px. Larger ones do not fit into a CPU's caches: at 1080p
#: OpenVINO takes 1.17 times as long with 1024 px as with 512.
AUTO_TILES_PX = (512, 384, 256, 192, 128, 96, 64, SMALLEST_TILE_PX)
#: With fewer, what tiles compute twice takes longer than what the caches save: SRVGGNetCompact (18 px) takes twice as
#: long in tiles of 128 px as in those of 384 px.
HALOS_IN_A_TILE = 16


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Bytes that one frame may take."""

    device: int
    host: int | None  #: None where the device is the host


def choose_plan(
    runtime: Runtime, height: int, width: int, budget: Budget, tile: tuple[int, int] | None = None
) -> TilePlan:
    """The fastest plan whose features and work fit into the budget; the leanest where none does.

    ``tile``: (height, width) in px where the user named one, which is halved where the device can't hold its maps in
    one piece; else up to the runtime's preferred one.
    """
    features_on_host = runtime.arrays.on_host
    plans = _candidates(runtime, height, width, tile, features_on_host=features_on_host)
    return next((plan for plan in plans if not lacking_bytes(runtime, plan, height, width, budget)), plans[-1])


def lacking_bytes(runtime: Runtime, plan: TilePlan, height: int, width: int, budget: Budget) -> int:
    """Bytes of the device, or of the host, that a plan takes beyond the budget; 0 where it fits."""
    stored = stored_bytes(runtime.architecture, height, width, plan, runtime.arrays.item_bytes)
    work = working_bytes(runtime.architecture, height, width, plan, runtime.arrays.item_bytes, runtime.working_maps)
    on_host = runtime.arrays.on_host or plan.storage is FeatureStorage.HOST
    if budget.host is not None and on_host and not plan.whole(height, width):
        return max(0, work - budget.device, stored - budget.host)
    return max(0, work + stored - budget.device)


def keeps_features(runtime: Runtime) -> bool:
    """Whether there is anything to keep between the stages, and the runtime can keep it."""
    return runtime.keeps_maps and len(runtime.architecture.stages) > 1


def _is_too_wide(runtime: Runtime, height: int, width: int, tile: tuple[int, int]) -> bool:
    """Whether one of the tile's maps is larger than what the device can hold in one piece."""
    if runtime.largest_buffer is None:
        return False
    bytes_ = widest_map_bytes(runtime.architecture, height, width, TilePlan(tile=tile), runtime.arrays.item_bytes)
    return bytes_ > runtime.largest_buffer


def _preferred_tile_px(runtime: Runtime) -> int:
    """The largest tile to try, 0 = whole frames.

    A small one stays in the caches, but in a network of one stage its neighbours compute all of its halo, too.
    """
    architecture = runtime.architecture
    if not runtime.preferred_tile_px or len(architecture.stages) > 1:
        return runtime.preferred_tile_px
    return max(runtime.preferred_tile_px, HALOS_IN_A_TILE * architecture.halo_px)


def _candidates(
    runtime: Runtime, height: int, width: int, tile: tuple[int, int] | None, *, features_on_host: bool
) -> list[TilePlan]:
    """The plans that may be taken, the fastest first."""
    preferred = _preferred_tile_px(runtime)
    if not runtime.architecture.can_tile:
        return [TilePlan(tile=(0, 0))]
    if tile is not None:
        while _is_too_wide(runtime, height, width, tile) and (smaller := _halved(tile, height, width)) != tile:
            tile = smaller
        tiles = [tile]
    else:
        tiles = [(t, t) for t in AUTO_TILES_PX if t < max(height, width) and (not preferred or t <= preferred)]
        if not preferred or max(height, width) <= preferred:
            tiles.insert(0, (0, 0))
        tiles = [t for t in tiles if not _is_too_wide(runtime, height, width, t)] or tiles[-1:]
    whole = [TilePlan(tile=t) for t in tiles if TilePlan(tile=t).whole(height, width)]
    tiles = [t for t in tiles if not TilePlan(tile=t).whole(height, width)]
    kept = [FeatureStorage.DEVICE] + ([FeatureStorage.LEAN] if runtime.architecture.lean_stages else [])
    if not keeps_features(runtime):
        kept = []
    on_host = [TilePlan(tile=t, storage=FeatureStorage.HOST) for t in tiles if kept and not features_on_host]
    again = [TilePlan(tile=t, storage=FeatureStorage.RECOMPUTE) for t in tiles]
    return whole + [TilePlan(tile=t, storage=storage) for t in tiles for storage in kept] + on_host + again


def leaner_plan(runtime: Runtime, failed: TilePlan, height: int, width: int) -> TilePlan | None:
    """What to try after an out-of-memory: half the tile and fewer features, None where there is nothing left."""
    if not runtime.architecture.can_tile:
        return None
    has_host = not runtime.arrays.on_host
    if failed.storage is FeatureStorage.DEVICE and runtime.architecture.lean_stages:
        storage = FeatureStorage.LEAN
    elif failed.storage in (FeatureStorage.DEVICE, FeatureStorage.LEAN) and has_host:
        storage = FeatureStorage.HOST
    else:
        storage = failed.storage
    if not keeps_features(runtime):
        storage = FeatureStorage.RECOMPUTE
    old = [min(t or s, s) for t, s in zip(failed.tile, (height, width), strict=True)]
    new = _halved(failed.tile, height, width)
    if any(n < o for n, o in zip(new, old, strict=True)):
        return TilePlan(tile=new, storage=storage)
    if storage is FeatureStorage.RECOMPUTE or max(height, width) <= SMALLEST_TILE_PX:
        return None
    return TilePlan(tile=new, storage=FeatureStorage.RECOMPUTE)


def _halved(tile: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """Half the tile's sides, but not less than the smallest."""
    rows, columns = (max(SMALLEST_TILE_PX, min(t or s, s) // 2) for t, s in zip(tile, (height, width), strict=True))
    return rows, columns
