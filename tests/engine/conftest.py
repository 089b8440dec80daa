"""Memory that is short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from vscugan.engine import network_pass
from vscugan.runtime.protocol import Runtime
from vscugan.tiling.tile_plan import TilePlan


@pytest.fixture
def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[tuple[int, int]]]:
    """short_of_memory(largest_px): tiles larger than this, and whole frames, raise. Returns each tile that is tried."""
    run_tiles = network_pass.run_tiles

    def allow(largest_px: int) -> list[tuple[int, int]]:
        tried: list[tuple[int, int]] = []

        def run(runtime: Runtime, padded: torch.Tensor, plan: TilePlan, *rest: Any) -> object:
            tried.append(plan.tile)
            if plan.tile == (0, 0) or max(plan.tile) > largest_px:
                raise torch.OutOfMemoryError("made up")
            return run_tiles(runtime, padded, plan, *rest)

        monkeypatch.setattr(network_pass, "run_tiles", run)
        return tried

    return allow
