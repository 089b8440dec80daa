"""Frames are counted, and the time that remains is estimated."""

from __future__ import annotations

from typing import Any

from vscugan.encode.chunks.progress_meter import ProgressMeter


def test_progress_counts_and_estimates() -> None:
    reports: list[dict[str, Any]] = []
    now = [0.0]
    progress = ProgressMeter(lambda name, /, **f: reports.append(f), frames=100, done=40, clock=lambda: now[0])
    for _ in range(60):
        now[0] += 0.5
        progress.frame(0.25)
    assert reports[-1]["frames"] == 100
    assert reports[-1]["eta_s"] == 0
    assert reports[9] == {"frames": 50, "of": 100, "fps": 2, "fps_mean": 2, "eta_s": 25, "bytes": 0, "reused": 0.25,
                          "cluster": None}  # fmt: skip
