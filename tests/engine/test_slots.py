"""Slots: what their time is counted as."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from vscugan.engine import slots
from vscugan.engine.engine import Engine
from vscugan.engine.slots import Spent
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
