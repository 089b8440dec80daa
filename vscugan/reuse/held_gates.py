"""``gates=scene`` alone: every frame is computed whole, with the gates of its scene."""

from __future__ import annotations

from collections.abc import Mapping

from vscugan.engine.engine import Engine
from vscugan.reuse.decisions import Decision, Decisions
from vscugan.reuse.deduplication_cache import DeduplicationCache, content_hash
from vscugan.reuse.dependent_frames import DependentFrames
from vscugan.reuse.mode import SourceFrame, Target


class HeldGates(DependentFrames):
    """Every frame is computed, or where ``deduplication`` is given, every content."""

    def __init__(self, engine: Engine, decisions: Decisions, deduplication: DeduplicationCache | None) -> None:
        super().__init__(engine, decisions)
        self._deduplication = deduplication

    def _make(
        self, n: int, decisions: Mapping[int, Decision], readable: Mapping[int, SourceFrame], target: Target
    ) -> tuple[list[int], object]:
        gate_source = decisions[n].gate_source
        own = gate_source == n
        gates = None if own else self._gates_of(gate_source, readable)
        if gates is None and not own:
            return [gate_source], None
        rgb = readable[n].rgb

        def make() -> None:
            with_gates = own and self._engine.returns_gates
            used = self._engine.upscale(rgb, target.planes, n, gates, with_gates=with_gates)
            if own:
                self._keep_gates(n, used)

        if self._deduplication is None:
            make()
            return [], None
        # with its own gates given to it a frame is not quite, bit by bit, what it is when it makes them
        key = (content_hash(rgb), gate_source, own)
        return [], self._deduplication.once(key, target, make)

    def close(self) -> str:
        """See ``Mode``."""
        if self._deduplication is not None:
            self._deduplication.clear()
        return super().close()
