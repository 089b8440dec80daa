"""Slots: what their time is counted as, and when their memory may be used again."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from vscugan.engine import engine as engine_module
from vscugan.engine import slots
from vscugan.engine.engine import Engine
from vscugan.engine.slots import Spent
from vscugan.errors import FrameError
from vscugan.settings import validate
from vscugan.tiling.geometry import Rectangle, Span


def test_what_warms_up_is_not_counted_as_spent(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0, 9, 9, 10, 10, 12, 12, 12.5))  # begin and end of each frame
    monkeypatch.setattr(slots, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    engine = Engine(validate(backend="torch"))
    x = picture[:, :16, :16]
    for _ in range(3):
        results, gates = engine.render(x)
    area = Rectangle(rows=Span(start=0, stop=8), columns=Span(start=0, stop=8))
    engine.repaint(results, x, [area], gates)
    assert engine.spent == Spent(whole_frames=2, whole_s=3, part_s=0.5)


def test_a_frame_that_fails_leaves_nothing_on_its_way(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next frame of the slot writes into the memory that this one's copies read."""
    calls: list[str] = []
    stream: Any = SimpleNamespace(synchronize=lambda: calls.append("synchronize"))
    monkeypatch.setattr(engine_module, "new_stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    engine = Engine(validate(backend="torch"))
    x = picture[:, :16, :16]
    engine.render(x)
    assert calls == ["synchronize"]
    calls.clear()
    with pytest.raises(FrameError):
        engine.render(np.full_like(x, np.nan))
    assert calls == ["synchronize"]
