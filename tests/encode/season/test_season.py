"""Many files: one that is bad stops no other, and a second call goes on where the first was."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support import media
from support.slow_encode import assert_gone, family

from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.worker_process import StoppedError, WorkerProcess

FILES = 6
KILLS = 10
#: with the ending of work folders it is too long for a file system
LONG_NAME = "漫" * 82
#: chunks in work when a run is killed: the one that is fed, and those that are being finished
IN_FLIGHT = 3
CHUNK_FRAMES = 24
#: each frame leaves its file's name and its number, and waits
COUNTED = """import os, time
import vapoursynth as vs
def count(n, f):
    with open(log, "a") as file:
        file.write(f"{os.path.basename(source)} {n}\\n")
    time.sleep(0.004)
    return f
out = vs.core.resize.Bicubic(clip, 96, 64)
out.std.ModifyFrame(out, count).set_output()
"""


@pytest.fixture
def season(tmp_path: Path) -> Path:
    """A folder of short files of different lengths, and a script that counts frames."""
    (tmp_path / "in").mkdir()
    for k in range(FILES):
        media.plain(tmp_path / "in" / f"{k}.mkv", frames=CHUNK_FRAMES * (2 + k % 3))
    (tmp_path / "count.vpy").write_text(COUNTED)
    return tmp_path


def command(season: Path, *argv: object) -> list[str]:
    script = ("--script", season / "count.vpy", "--arg", f"log={season / 'log'}", "--chunk", 1, "--encoder", "x264")
    return list(media.command("encode", season / "in", "-o", season / "out", *script, *argv, "--",
                              "--preset", "ultrafast"))  # fmt: skip


def run(season: Path, *argv: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(season, *argv), capture_output=True, text=True, check=False)


def test_one_bad_file_stops_no_other(season: Path) -> None:
    (season / "in" / "1.mkv").write_text("no video")
    (season / "out").mkdir()
    (season / "out" / "4.mkv").write_text("mine")
    (season / "in" / f"{LONG_NAME}.mkv").write_text("its work folder has no name")
    first = run(season)
    assert first.returncode == 7
    bad, mine, long = first.stderr.splitlines()
    assert bad.startswith("vscugan encode: '1.mkv': source must be")
    assert mine == (
        "vscugan encode: '4.mkv': output must not exist yet, got '4.mkv'; name another one, or say --overwrite"
    )
    assert long.startswith(f"vscugan encode: '{LONG_NAME}.mkv': files must be usable, got [Errno ")
    assert first.stdout.endswith("7 files: 4 done, 3 failed\n")
    assert "[3/7] '2.mkv': done: '2.mkv', 96 frames, " in first.stdout
    assert {p.name for p in (season / "out").iterdir()} == {
        "4.mkv", *(f"{k}.mkv{end}" for k in (0, 2, 3, 5) for end in ("", ".cugan.json"))
    }  # fmt: skip
    media.plain(season / "in" / "1.mkv", frames=3)
    (season / "in" / f"{LONG_NAME}.mkv").unlink()
    second = run(season, "--json", "--overwrite", "--keep-work", "--jobs", 2)
    assert second.returncode == 0, second.stderr
    events = [json.loads(line) for line in second.stdout.splitlines()]
    assert [file["state"] for file in events[-1]["files"]] == ["there", "done", "there", "there", "done", "there"]
    assert {event["file"] for event in events if event["event"] == "done"} == {2, 5}
    assert run(season).returncode == 0  # as after a kill between the end and the tidying up
    assert not list((season / "out").glob("*.vscugan"))


def test_one_worker_does_all_and_a_failed_one_is_replaced(season: Path) -> None:
    script = season / "count.vpy"
    script.write_text(script.read_text() + "print('of worker', os.getpid())\nassert '1.mkv' not in source\n")
    assert run(season, "--keep-work").returncode == 2
    logs = [(season / "out" / f"{k}.mkv.vscugan" / "worker.log") for k in range(FILES)]
    workers = [log.read_text().split("of worker ")[1].split()[0] for log in logs if log.exists()]
    assert len(workers) == FILES - 1
    assert len(set(workers)) == 2


def test_a_closed_worker_takes_no_more_jobs(tmp_path: Path) -> None:
    job = EncodeJob(source="a.mkv", output=str(tmp_path / "b.mkv"))
    job.work_folder.mkdir()
    worker = WorkerProcess()
    worker.close()
    with pytest.raises(StoppedError):
        worker.work(job, 0, print)


def test_kills_lose_nothing_and_no_frame_is_computed_twice(season: Path) -> None:
    rng, done = random.Random(18), dict[str, list[Any]]()
    for kind in (["parent", "worker", "encoder", "all", "interrupt"] * 2)[:KILLS]:
        parent = subprocess.Popen(command(season), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before, end = _chunks(season), time.monotonic() + 6
        while _chunks(season) == before and time.monotonic() < end and parent.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.2))
        members = family(parent)
        for process in {"worker": members[:1], "encoder": members[1:], "all": members}.get(kind, []):
            with contextlib.suppress(Exception):
                process.kill()
        if kind in ("parent", "all"):
            parent.kill()
        else:
            parent.send_signal(signal.SIGINT)
        parent.wait(30)
        assert_gone(members)
        for path in (season / "out").glob("*.mkv"):
            done.setdefault(path.name, [path.stat().st_mtime_ns])
    last = run(season)
    assert last.returncode == 0, last.stderr
    assert all((season / "out" / name).stat().st_mtime_ns == times[0] for name, times in done.items())
    computed = (season / "log").read_text().split("\n")[:-1]
    frames = sum(CHUNK_FRAMES * (2 + k % 3) for k in range(FILES))
    assert len(set(computed)) == frames
    assert len(computed) <= frames + KILLS * IN_FLIGHT * CHUNK_FRAMES
    for k in range(FILES):
        assert len(media.frame_hashes(season / "out" / f"{k}.mkv")) == CHUNK_FRAMES * (2 + k % 3)


def _chunks(season: Path) -> int:
    """How many chunks are finished, of files that are not."""
    count = 0
    for path in season.glob("out/*.vscugan/journal.jsonl"):
        with contextlib.suppress(OSError):
            count += path.read_bytes().count(b'{"kind":"chunk"')
    return count + 1000 * len(list(season.glob("out/*.mkv")))
