"""The mode that the settings ask for."""

from __future__ import annotations

from vscugan.engine.engine import Engine
from vscugan.engine.memory import free_bytes
from vscugan.reuse.areas import BorderCost, margin_cells_of
from vscugan.reuse.decisions import Decisions
from vscugan.reuse.deduplication_cache import DeduplicationCache
from vscugan.reuse.each_frame import EachFrame
from vscugan.reuse.held_gates import HeldGates
from vscugan.reuse.mode import Mode
from vscugan.reuse.still_blocks import StillBlocks
from vscugan.runtime.device import CPU
from vscugan.settings import Settings

#: Share of the host's free memory for results that may be used again.
MEMORY_SHARE = 1 / 16


def _limit() -> int:
    return int(free_bytes(CPU) * MEMORY_SHARE)


def choose_deduplication(settings: Settings) -> DeduplicationCache | None:
    """Where results are kept by content, or None where each frame is computed."""
    return None if settings.reuse == "off" else DeduplicationCache(_limit())


def choose_mode(engine: Engine, settings: Settings) -> Mode:
    """Makes the clip's frames as ``reuse`` and ``gates`` say."""
    blocks = settings.reuse == "still"
    if not blocks and (settings.gates == "frame" or not engine.architecture.gates):
        return EachFrame(engine, choose_deduplication(settings))
    decisions = Decisions(
        segment=settings.segment,
        threshold=settings.threshold,
        border=BorderCost.of(engine.architecture),
        margin_cells=margin_cells_of(engine.architecture),
        blocks=blocks,
    )
    if blocks:
        return StillBlocks(engine, decisions, _limit())
    return HeldGates(engine, decisions, choose_deduplication(settings))
