"""How a frame is cut into tiles, where its features wait, and how much memory that takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vscugan.network import Architecture
from vscugan.tiling.geometry import round_up


class Waiting(StrEnum):
    """Where features wait between the stages, the fastest first; the values are what users are told."""

    DEVICE = "kept"  #: all on the device
    LEAN = "kept without skips"  #: the two 64-channel skips are computed where they are read
    HOST = "kept on the host without skips"
    NOWHERE = "computed again from the input"  #: each stage runs all stages before it: three times the work


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a frame is cut and where its features wait between the stages."""

    tile: tuple[int, int]  #: height, width in source px; 0 = the whole axis
    waiting: Waiting = Waiting.DEVICE

    def whole(self, height: int, width: int) -> bool:
        """Whether a frame of this size is one tile."""
        return all(not t or t >= size for t, size in zip(self.tile, (height, width), strict=True))


def waiting_bytes(architecture: Architecture, height: int, width: int, plan: Plan, item_bytes: int) -> int:
    """Peak of the bytes that wait between stages for a frame of ``height`` x ``width``, the input among them."""
    maps, stages = architecture.maps(), architecture.stages(keep_skips=plan.waiting is Waiting.DEVICE)
    size = [round_up(s, architecture.multiple) for s in (height, width)]

    def held(names: set[str]) -> int:
        return sum(maps[n].channels * maps[n].size(size[0]) * maps[n].size(size[1]) for n in names)

    if plan.waiting is Waiting.NOWHERE:
        return held({"input"}) * item_bytes
    peak = 0
    for k in range(len(stages)):
        written = {n for s in stages[: k + 1] for n in s.writes} | {"input"}
        needed = {n for s in stages[k:] for n in s.reads} | set(stages[k].writes)
        peak = max(peak, held(written & needed))
    return peak * item_bytes


def working_bytes(architecture: Architecture, height: int, width: int, plan: Plan, item_bytes: int) -> int:
    """Bytes that a stage needs beside the waiting maps while it computes one tile.

    Three 64-channel maps at the size after the tail: 1.4 (2x), 1.3 (3x) and 2.2 (4x) were measured on the
    CPU as peak resident memory of whole frames, less ``waiting_bytes``.
    """
    rate, halo = architecture.tail_stride, 2 * architecture.pad_px
    tile = [min(t or s, s) for t, s in zip(plan.tile, (height, width), strict=True)]
    work = 3 * 64 * (tile[0] + halo) * (tile[1] + halo) * rate * rate * item_bytes
    if plan.waiting is Waiting.NOWHERE:  # the tile's own maps wait meanwhile
        work += waiting_bytes(architecture, tile[0] + halo, tile[1] + halo, Plan(tile=(0, 0)), item_bytes)
    return work
