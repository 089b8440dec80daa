"""Reuse through a whole encode: what is reported of it, and which frames a resumed run makes."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support import media

from vscugan.cli.progress_display import progress_line

FRAMES = 35
SEGMENT = 5
#: on the grid of segments this becomes 15 frames, none of which is the first of an epoch of four segments
CHUNK_S = 0.6
CUTS = [(0, 15), (15, 30), (30, 35)]
ARGV = ("--device", "cpu", "--backend", "torch", "--encoder", "ffv1", "--json")
STILL = ("--reuse", "still", "--segment", SEGMENT)


def source(path: Path, frames: int = FRAMES) -> Path:
    """A still picture and a box that moves every second frame, coded without loss."""
    still = f"testsrc2=s=128x96:r=24:d=1,trim=end_frame=1,loop={frames - 1}:1:0,setpts=N/24/TB,format=yuv420p"
    box = "color=red:s=8x8:r=24[b];[a][b]overlay=x='16+2*floor(n/2)':y=40:shortest=1"
    media.ffmpeg("-filter_complex", f"{still}[a];{box}", "-frames:v", frames, "-c:v", "ffv1", path)
    return path


def command(folder: Path, output: str, *argv: object) -> list[str]:
    return list(media.command("encode", folder / "in.mkv", "-o", folder / output, *ARGV, *argv))


def encoded(folder: Path, output: str, *argv: object) -> list[dict[str, Any]]:
    """The events of a whole encode."""
    run = subprocess.run(command(folder, output, *argv), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def reused(events: list[dict[str, Any]]) -> float | None:
    """The share in the last report of progress."""
    share = [event for event in events if event["event"] == "progress"][-1]["reused"]
    return None if share is None else float(share)


def chunks(folder: Path, output: str) -> list[dict[str, Any]]:
    """The finished chunks of a run that was not tidied up."""
    path = folder / f"{output}.vscugan" / "journal.jsonl"
    content = path.read_bytes() if path.exists() else b""
    entries = [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]
    return [entry for entry in entries if entry["kind"] == "chunk"]


def test_progress_reports_what_was_reused(tmp_path: Path, core: Any) -> None:
    source(tmp_path / "in.mkv", 24)
    fast = ("--model", "fast")
    assert reused(encoded(tmp_path, "off.mkv", *fast, "--reuse", "off")) is None
    contents = len(set(media.frame_hashes(tmp_path / "in.mkv")))
    assert contents < 24
    assert reused(encoded(tmp_path, "exact.mkv", *fast)) == pytest.approx(1 - contents / 24, abs=1e-4)
    clip = core.bs.VideoSource(tmp_path / "in.mkv", cachemode=0)
    options = {"model": "fast", "device": "cpu", "backend": "torch", "reuse": "still", "segment": SEGMENT}
    still = core.cugan.Upscale(clip, report=1, **options)
    shares = [frame.props["CuganReused"] for frame in still.frames(close=True)]
    assert 0.5 < sum(shares) / len(shares) < 1
    reported = reused(encoded(tmp_path, "still.mkv", *fast, *STILL))
    assert reported == pytest.approx(sum(shares) / len(shares), abs=1e-4)


def test_the_progress_line_has_what_was_reused() -> None:
    event = {"frames": 3, "of": 4, "fps": 1, "fps_mean": 2, "eta_s": 61, "bytes": 2048, "reused": 0.7183}
    assert progress_line(event) == (
        "3/4 frames (75.0%), 1.00 fps now, 2.00 mean, 72% reused, 2.0 KiB so far, 0:01:01 left"
    )
    assert "reused" not in progress_line(event | {"reused": None})


def test_a_resumed_run_makes_the_same_frames(tmp_path: Path) -> None:
    source(tmp_path / "in.mkv")
    encoded(tmp_path, "uncut.mkv", *STILL, "--chunk", 60)
    argv = (*STILL, "--chunk", CHUNK_S)
    first = subprocess.Popen(command(tmp_path, "cut.mkv", *argv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not chunks(tmp_path, "cut.mkv"):
        assert first.poll() is None
        time.sleep(0.005)
    first.kill()
    first.wait()
    changed = subprocess.run(
        command(tmp_path, "cut.mkv", *argv, "--threshold", 5), capture_output=True, text=True, check=False
    )
    assert changed.returncode == 4, changed.stderr
    assert changed.stderr == (
        "vscugan encode: parameters must be as in the run before, got a difference: threshold was left out, now 5.0; "
        "run it as before, or say --restart to throw the finished chunks away\n"
    )
    kept = len(chunks(tmp_path, "cut.mkv"))
    assert 1 <= kept < len(CUTS)
    events = encoded(tmp_path, "cut.mkv", "--resume", "--keep-work")
    assert next(event for event in events if event["event"] == "found")["chunks"] == kept
    assert [(chunk["start"], chunk["stop"]) for chunk in chunks(tmp_path, "cut.mkv")] == CUTS
    assert (reused(events) or 0) > 0.5
    assert media.frame_hashes(tmp_path / "cut.mkv") == media.frame_hashes(tmp_path / "uncut.mkv")
    verified = subprocess.run(media.command("verify", tmp_path / "cut.mkv", "--seed", 1), check=False)
    assert verified.returncode == 0  # five frames, asked for by themselves
    log = (tmp_path / "cut.mkv.vscugan" / "worker.log").read_text(encoding="utf-8")
    assert log.count("cugan.Upscale: runtime: ") == 1  # one model for all chunks
