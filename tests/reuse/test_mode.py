"""What a mode reports."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from support.plain_engine import mode_of, served

from vscugan import engine as engine_module
from vscugan.engine import Engine, Spent
from vscugan.reuse import mode as mode_module
from vscugan.reuse.mode import Counts, Reports
from vscugan.settings import validate
from vscugan.tiling.geometry import Rectangle, Span


def test_what_warms_up_is_not_counted_as_spent(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0, 9, 9, 10, 10, 12, 12, 12.5))  # begin and end of each frame
    monkeypatch.setattr(engine_module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    engine = Engine(validate(backend="torch"))
    x = picture[:, :16, :16]
    for _ in range(3):
        results, gates = engine.render(x)
    area = Rectangle(rows=Span(start=0, stop=8), columns=Span(start=0, stop=8))
    engine.repaint(results, x, [area], gates)
    assert engine.spent == Spent(whole_frames=2, whole_s=3, part_s=0.5)


def test_the_summary_says_what_was_saved() -> None:
    counts, spent = Counts(frames=10, whole=4, computed=5), Spent(whole_frames=2, whole_s=3, part_s=0.5)
    assert counts.summary(spent) == "reuse: 10 frames, 50% of their pixels computed, about 8 s saved"
    # what a whole frame costs is not known from the first one
    assert counts.summary(Spent(part_s=0.5)) == "reuse: 10 frames, 50% of their pixels computed"
    assert Counts(frames=10, whole=10, computed=10).summary(spent) == ""


def test_reports_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode_module.Reports, "LIMIT_BYTES", 10 * Reports.REPORT_BYTES)
    mode = mode_of()
    served(mode, range(30))
    assert [n for n in range(30) if mode.report(n)] == list(range(20, 30))
    assert mode.report(29) == {"CuganReused": pytest.approx(0.9, abs=0.1), "CuganSegment": 24}
