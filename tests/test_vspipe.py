"""Scripts in vspipe: frames, messages, short runs, and the examples."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.processes import SCRIPT, vspipe

ROOT = Path(__file__).parent.parent


def test_vspipe_writes_frames_and_nothing_else(tmp_path: Path) -> None:
    script = tmp_path / "a.vpy"
    script.write_text(SCRIPT)
    run = vspipe("-c", "y4m", str(script), "-")
    assert run.returncode == 0, run.stderr
    header = run.stdout.split(b"\n", 1)[0]
    assert header.startswith(b"YUV4MPEG2 C420")
    assert len(run.stdout) == len(header) + 1 + 3 * (len(b"FRAME\n") + 64 * 64 * 3 // 2)
    graph = vspipe("--graph", "full", str(script))
    assert b"Upscale" in graph.stdout
    times = vspipe("--filter-time", str(script), "--")
    row = next(line.split() for line in times.stderr.splitlines() if line.startswith(b"Upscale "))
    assert row[1] == b"parallel"


def test_vspipe_shows_our_message(tmp_path: Path) -> None:
    script = tmp_path / "a.vpy"
    script.write_text(SCRIPT.replace("scale=2", "scale=17"))
    run = vspipe(str(script), "--")
    assert run.returncode != 0
    assert b"cugan.Upscale: scale must be 1 to 16, got 17; 1 restores without resizing" in run.stderr


def test_short_runs_end_in_time(tmp_path: Path) -> None:
    script = tmp_path / "a.vpy"
    script.write_text(SCRIPT)
    for _ in range(int(os.environ.get("VSCUGAN_SHORT_RUNS", "10"))):
        assert vspipe(str(script), "--", timeout=60).returncode == 0


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.vpy")), ids=lambda p: p.name)
def test_examples_run_as_they_stand(example: Path) -> None:
    run = vspipe("-e", "0", str(example), "--", timeout=120)
    assert run.returncode == 0, run.stderr
