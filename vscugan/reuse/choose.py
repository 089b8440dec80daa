"""The mode that the settings ask for."""

from __future__ import annotations

import torch

from vscugan.engine.engine import Engine
from vscugan.engine.memory import free_bytes
from vscugan.reuse.chain import Chain
from vscugan.reuse.chained import HeldGates, StillBlocks
from vscugan.reuse.contents import Contents
from vscugan.reuse.each_frame import EachFrame
from vscugan.reuse.mode import Mode
from vscugan.settings import Settings

#: Share of the host's free memory for results that may be used again.
MEMORY_SHARE = 1 / 16


def _limit() -> int:
    return int(free_bytes(torch.device("cpu")) * MEMORY_SHARE)


def choose_contents(settings: Settings) -> Contents | None:
    """Where results are kept by content, or None where each frame is computed."""
    return None if settings.reuse == "off" else Contents(_limit())


def choose_mode(engine: Engine, settings: Settings) -> Mode:
    """Makes the clip's frames as ``reuse`` and ``gates`` say."""
    blocks = settings.reuse == "still"
    if not blocks and settings.gates == "frame":
        return EachFrame(engine, choose_contents(settings))
    chain = Chain(segment=settings.segment, threshold=settings.threshold, halo_px=engine.border_px[0], blocks=blocks)
    if blocks:
        return StillBlocks(engine, chain, _limit())
    return HeldGates(engine, chain, choose_contents(settings))
