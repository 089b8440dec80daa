"""Nothing that is finished is lost: kills, and a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import media
from support.slow_encode import assert_gone, command, family, finished, journal, run

#: VSCUGAN_KILLS=60 makes more of them
KILLS = int(os.environ.get("VSCUGAN_KILLS", "12"))
CHUNKS_A_KILL = 2
GONE_S = 8.0


def wait_for_a_moment(slow_folder: Path, rng: random.Random) -> None:
    """While it starts, or some time after one more chunk is finished."""
    if rng.random() < 0.3:
        time.sleep(rng.uniform(0.02, 1.2))
        return
    count, end = len(finished(slow_folder, "out.mkv")), time.monotonic() + 4
    while len(finished(slow_folder, "out.mkv")) == count and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(rng.uniform(0, 0.2))


def kill_one(slow_folder: Path, kind: str, rng: random.Random) -> None:
    """Start a run, kill one part of it after a while, and see that nothing stays."""
    limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))) if kind == "disk" else None
    parent = subprocess.Popen(
        command(slow_folder, "out.mkv"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=limit
    )
    wait_for_a_moment(slow_folder, rng)
    members = family(parent)
    victims = {"parent": [], "worker": members[:1], "encoder": members[1:], "all": members, "disk": []}[kind]
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    if kind in ("parent", "all"):
        parent.kill()
    if kind in ("worker", "encoder"):
        try:
            parent.wait(0.5)
        except subprocess.TimeoutExpired:  # there was none yet, or it had all its frames already: Ctrl-C instead
            parent.send_signal(signal.SIGINT)
    if kind == "disk":
        time.sleep(0.2)
        parent.terminate()
    parent.wait(GONE_S + 20)
    assert_gone(members)


def test_kills_lose_nothing(slow_folder: Path) -> None:
    chunks = max(8, round(KILLS * CHUNKS_A_KILL))
    media.plain(slow_folder / "in.mkv", frames=24 * chunks)
    whole = run(slow_folder, "whole.mkv")
    assert whole.returncode == 0, whole.stderr
    rng = random.Random(6)
    kinds = ["parent", "worker", "encoder", "all", "disk"]
    before: list[dict[str, Any]] = []
    kills = 0
    while kills < KILLS:
        kill_one(slow_folder, kinds[kills % len(kinds)], rng)
        kills += 1
        assert not (slow_folder / "out.mkv").exists()
        now = [entry for entry in journal(slow_folder, "out.mkv") if entry["kind"] == "chunk"]
        assert now[: len(before)] == before  # what was finished stays as it was
        before = now
    kept = finished(slow_folder, "out.mkv")
    last = run(slow_folder, "out.mkv", "--keep-work")
    assert last.returncode == 0, last.stderr
    all_of_them = finished(slow_folder, "out.mkv")
    assert sorted(all_of_them) == list(range(chunks))  # none twice
    assert all_of_them[: len(kept)] == kept
    assert media.frame_hashes(slow_folder / "out.mkv") == media.frame_hashes(slow_folder / "whole.mkv")
    print(f"kills: {kills}, finished by then: {len(kept)} of {chunks} chunks")


@pytest.fixture
def small_disk(slow_folder: Path) -> Iterator[Path]:
    """A disk of 120 KiB, for those who may mount one."""
    place = slow_folder / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120k", "none", place], check=False).returncode:
        pytest.skip("mounting needs rights")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_costs_only_what_does_not_fit(slow_folder: Path, small_disk: Path) -> None:
    media.plain(slow_folder / "in.mkv", frames=24 * 20)
    full = run(slow_folder, "disk/out.mkv")
    assert full.returncode == 7
    assert full.stderr.startswith("vscugan encode: disk must have room, got 0 MiB left in disk (")
    kept = finished(slow_folder, "disk/out.mkv")
    assert 0 < len(kept) < 20
    subprocess.run(["mount", "-o", "remount,size=300k", small_disk], check=True)
    muxed = run(slow_folder, "disk/out.mkv")  # the chunks fit now, the file does not
    assert muxed.returncode == 7
    assert muxed.stderr.startswith("vscugan encode: finished file must be writable, got ")
    assert muxed.stderr.endswith(" with 0 MiB left; all chunks are kept: make room, then run the same command again\n")
    assert not (small_disk / "out.mkv").exists()
    assert finished(slow_folder, "disk/out.mkv")[: len(kept)] == kept
    assert sorted(finished(slow_folder, "disk/out.mkv")) == list(range(20))  # none twice
    subprocess.run(["mount", "-o", "remount,size=2m", small_disk], check=True)
    assert run(slow_folder, "disk/out.mkv").returncode == 0
    assert run(slow_folder, "whole.mkv").returncode == 0
    assert media.frame_hashes(small_disk / "out.mkv") == media.frame_hashes(slow_folder / "whole.mkv")


@pytest.mark.parametrize("moment", ["mux", "check"])
def test_a_kill_while_the_file_is_written(slow_folder: Path, moment: str) -> None:
    media.plain(slow_folder / "in.mkv", frames=48)
    with subprocess.Popen(command(slow_folder, "out.mkv", "--json"), stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        for line in parent.stdout:
            if json.loads(line)["event"] == moment:
                break
        members = family(parent)
        for process in members:
            process.kill()
        parent.kill()
    assert_gone(members)
    again = run(slow_folder, "out.mkv")
    assert again.returncode == 0, again.stderr
    assert "found 2 of 2 chunks finished" in again.stdout or again.stdout.startswith("done")
    assert len(media.frame_hashes(slow_folder / "out.mkv")) == 48
    assert sorted(p.name for p in slow_folder.iterdir()) == ["in.mkv", "out.mkv", "out.mkv.cugan.json", "slow.vpy"]
