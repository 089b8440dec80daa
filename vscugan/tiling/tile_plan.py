"""How a frame is cut into tiles, where its features are kept between the stages, and how much memory that takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Border
from vscugan.tiling.geometry import filled_up


class FeatureStorage(StrEnum):
    """Where features are kept between the stages, the fastest first; the values are for users."""

    DEVICE = "kept"  #: all on the device
    LEAN = "kept without skips"  #: maps that are cheap to make are computed where they are read
    HOST = "kept on the host without skips"
    RECOMPUTE = "computed again from the input"  #: each stage runs all stages before it: three times the work


@dataclass(frozen=True, kw_only=True)
class TilePlan:
    """How a frame is cut and where its features are kept between the stages."""

    tile: tuple[int, int]  #: height, width in source px; 0 = the whole axis
    storage: FeatureStorage = FeatureStorage.DEVICE

    def whole(self, height: int, width: int) -> bool:
        """Whether a frame of this size is one tile."""
        return all(not t or t >= size for t, size in zip(self.tile, (height, width), strict=True))

    @property
    def is_lean(self) -> bool:
        """Whether the lean stages are run."""
        return self.storage is not FeatureStorage.DEVICE


def stored_bytes(architecture: Architecture, height: int, width: int, plan: TilePlan, item_bytes: int) -> int:
    """Peak of the bytes that are kept between stages for a frame of ``height`` x ``width``, the input among them."""
    maps, stages = architecture.shapes.maps, architecture.stages_for(lean=plan.is_lean)
    size = [filled_up(architecture, s) for s in (height, width)]

    def held(names: set[str]) -> int:
        return sum(maps[n].channels * maps[n].size(size[0]) * maps[n].size(size[1]) for n in names)

    if plan.storage is FeatureStorage.RECOMPUTE:
        return held({"input"}) * item_bytes
    peak = 0
    for k in range(len(stages)):
        written = {n for s in stages[: k + 1] for n in s.writes} | {"input"}
        needed = {n for s in stages[k:] for n in s.reads} | set(stages[k].writes)
        peak = max(peak, held(written & needed))
    return peak * item_bytes


def widest_map_bytes(architecture: Architecture, height: int, width: int, plan: TilePlan, item_bytes: int) -> int:
    """Bytes of the network's widest map while it computes one tile."""
    rows, columns = _window_px(architecture, height, width, plan)
    return int(architecture.shapes.widest * rows * columns) * item_bytes


def _window_px(architecture: Architecture, height: int, width: int, plan: TilePlan) -> tuple[int, int]:
    """Rows and columns of the picture that one tile reads, with its halo."""
    read = [min(t or s, s) + 2 * architecture.halo_px for t, s in zip(plan.tile, (height, width), strict=True)]
    if architecture.border is Border.SAME:  # a window ends with the frame
        read = [min(px, s) for px, s in zip(read, (height, width), strict=True)]
    rows, columns = (max(px, architecture.minimum_px) for px in read)
    return rows, columns


def working_bytes(
    architecture: Architecture, height: int, width: int, plan: TilePlan, item_bytes: int, working_maps: float = 3
) -> int:
    """Bytes that a stage needs beside the kept maps while it computes one tile.

    ``working_maps``: how many of the network's widest maps that is. With UpCunet 1.4 (2x), 1.3 (3x) and 2.2 (4x) were
    measured on the CPU as peak resident memory of whole frames, less ``stored_bytes``.
    """
    read = _window_px(architecture, height, width, plan)
    work = int(working_maps * float(architecture.shapes.widest) * read[0] * read[1]) * item_bytes
    if plan.storage is FeatureStorage.RECOMPUTE:  # the tile's own maps are kept meanwhile
        work += stored_bytes(architecture, read[0], read[1], TilePlan(tile=(0, 0)), item_bytes)
    return work
