"""What a mode reports."""

from __future__ import annotations

from typing import Any

import pytest
from support.plain_engine import mode_of, served

from vscugan.engine.engine import Spent
from vscugan.reuse.mode import Counts


def test_the_summary_says_what_was_saved() -> None:
    counts, spent = Counts(frames=10, whole=4, computed=5), Spent(whole_frames=2, whole_s=3, part_s=0.5)
    assert counts.summary(spent) == "reuse: 10 frames, 50% of their pixels computed, about 8 s saved"
    # what a whole frame costs is not known from the first one
    assert counts.summary(Spent(part_s=0.5)) == "reuse: 10 frames, 50% of their pixels computed"
    assert Counts(frames=10, whole=10, computed=10).summary(spent) == ""


def test_each_frame_comes_with_its_report() -> None:
    reports: dict[int, dict[str, Any]] = {}
    served(mode_of(), range(30), reports=reports)
    assert [report["CuganSegment"] for report in reports.values()] == [0] * 24 + [24] * 6
    assert reports[0]["CuganReused"] == 0
    assert reports[29] == {"CuganReused": pytest.approx(0.9, abs=0.1), "CuganSegment": 24}
