"""What a mode reports."""

from __future__ import annotations

import pytest
from support.plain_engine import mode_of, served

from vscugan.engine.engine import Spent
from vscugan.reuse import mode as mode_module
from vscugan.reuse.mode import Counts, Reports


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
