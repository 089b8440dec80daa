"""Reuse with an engine that shows which source and gates it used, asked as the bridge asks, less the threads."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from vscugan.engine.engine import FrameGates, Spent
from vscugan.reuse.areas import BorderCost
from vscugan.reuse.decisions import Decisions
from vscugan.reuse.held_gates import HeldGates
from vscugan.reuse.mode import Mode, SourceFrame, Target
from vscugan.reuse.still_blocks import StillBlocks
from vscugan.tiling.geometry import Rectangle

SIZE = (48, 64)
FRAME_BYTES = 3 * 48 * 64 * 4
LOST = "the disk is gone"


class PlainEngine:
    """Shows the source as it is, plus the number of the frame whose gates it used: a wrong result is seen."""

    returns_gates = True

    def __init__(self) -> None:
        self.spent, self.rendered = Spent(), list[int]()

    def _with(self, source: np.ndarray, gates: FrameGates) -> np.ndarray:
        shown: np.ndarray = source + gates[0][0]
        return shown

    def render(
        self, source: np.ndarray, n: int, gates: FrameGates | None = None, *, with_gates: bool = True
    ) -> tuple[list[np.ndarray], FrameGates]:
        self.rendered.append(n)
        gates = gates or ((np.array(n, np.float32),),)
        return [self._with(source, gates)], gates if with_gates else ()

    def repaint(
        self, results: list[np.ndarray], source: np.ndarray, areas: Sequence[Rectangle], gates: FrameGates, n: int
    ) -> None:
        for area in areas:
            results[0][:, *area.index] = self._with(source, gates)[:, *area.index]

    def show(self, result: np.ndarray, source: np.ndarray, planes: Sequence[np.ndarray], n: int) -> None:
        for plane, values in zip(planes, result, strict=True):
            plane[:] = values

    def upscale(
        self, source: np.ndarray, planes: Sequence[np.ndarray], n: int, gates: FrameGates | None = None,
        *, with_gates: bool = False,
    ) -> FrameGates:  # fmt: skip
        (result,), gates = self.render(source, n, gates)
        self.show(result, source, planes, n)
        return gates if with_gates else ()


def moving_box(n: int) -> np.ndarray:
    """(3, 48, 64): a frame that slowly gets lighter, and a box that moves in it; another scene every 70 frames."""
    frame = np.full((3, *SIZE), 0.2 + n // 70 % 3 * 0.2 + n % 96 / 255 / 24, np.float32)
    frame[:, 8 : 8 + n % 5, n % 50 : n % 50 + 9] += 0.12
    return frame


def mode_of(kind: str = "still", *, segment: int = 24, limit: int = 1 << 30) -> Any:
    engine: Any = PlainEngine()
    border = BorderCost(rectangle_px=18, frame_px=18)
    decisions = Decisions(segment=segment, threshold=3, border=border, blocks=kind == "still")
    return StillBlocks(engine, decisions, limit) if kind == "still" else HeldGates(engine, decisions, None)


def served(
    mode: Mode,
    requests: Iterable[int],
    *,
    in_flight: int = 1,
    seed: int = 0,
    lost: Iterable[int] = (),
    watch: Callable[[], object] = lambda: None,
    reports: dict[int, dict[str, Any]] | None = None,
) -> dict[int, bytes]:
    """What the mode makes of ``moving_box``, for requests that go on in a random order; empty for a lost frame.

    This is how the bridge calls it, less the threads: a frame that is asked for twice at once is made once, and a lost
    frame is never handed to ``compute`` as the first. ``reports``: receives the props of each frame.
    """
    todo, running, results, rng = list(requests)[::-1], dict[int, list[int]](), dict[int, bytes](), random.Random(seed)
    while todo or running:
        while todo and len(running) < in_flight:
            n = todo.pop()
            if n not in running:
                mode.begin(n)
                running[n] = [n]
        n = rng.choice(list(running))
        planes = list(np.zeros((3, *SIZE), np.float32))
        if n in lost:
            answer: Any = (None, {})
        else:
            sources = {k: SourceFrame(rgb=moving_box(k)) for k in running[n] if k not in lost}
            unreadable = {k: LOST for k in running[n] if k in lost}
            answer = mode.compute(n, sources, Target(planes=planes, frame=None), unreadable)
        watch()
        if isinstance(answer, list):
            assert answer
            running[n] = answer
            continue
        if reports is not None:
            reports[n] = answer[1]
        mode.end(n)
        del running[n]
        results[n] = b"" if n in lost else np.stack(planes).tobytes()
    return results
