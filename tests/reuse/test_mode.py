"""What a mode reports."""

from __future__ import annotations

from vscugan.engine.engine import Spent
from vscugan.reuse.mode import Counts


def test_the_summary_says_what_was_saved() -> None:
    counts, spent = Counts(frames=10, whole=4, computed=5), Spent(whole_frames=2, whole_s=3, part_s=0.5)
    assert counts.summary(spent) == "reuse: 10 frames, 50% of their pixels computed, about 8 s saved"
    # what a whole frame costs is not known from the first one
    assert counts.summary(Spent(part_s=0.5)) == "reuse: 10 frames, 50% of their pixels computed"
    assert Counts(frames=10, whole=10, computed=10).summary(spent) == ""
