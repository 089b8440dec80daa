"""Chunks on three nodes of a cluster on this machine: the same frames, whatever dies."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import media
from support.slow_encode import SLOW, assert_gone, family, finished, journal

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402

#: VSCUGAN_KILLS=30 makes more of them
KILLS = int(os.environ.get("VSCUGAN_KILLS", "5"))
NODES = 3
CHUNKS = 12
NODE = {"num_cpus": 1, "resources": {"vscugan": 1}, "object_store_memory": 80 << 20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three nodes, each of which does one chunk at a time."""
    nodes = Cluster(initialize_head=True, head_node_args=NODE)
    for _ in range(NODES - 1):
        nodes.add_node(**NODE)
    nodes.wait_for_nodes()
    yield nodes
    nodes.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    media.plain(tmp_path / "in.mkv", frames=24 * CHUNKS)
    (tmp_path / "slow.vpy").write_text(SLOW)
    return tmp_path


def command(folder: Path, output: str, *argv: object) -> list[str]:
    own = ("--script", folder / "slow.vpy", "--chunk", 1, "--encoder", "x264", *argv)
    return list(media.command("encode", folder / "in.mkv", "-o", folder / output, *own, "--", "--preset", "ultrafast"))


def run(folder: Path, output: str, *argv: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, output, *argv), capture_output=True, text=True, check=False, timeout=200)


@pytest.mark.parametrize("ship", [False, True])
def test_the_frames_are_those_of_one_machine(cluster: Cluster, folder: Path, ship: bool) -> None:
    assert run(folder, "one.mkv").returncode == 0
    many = run(folder, "many.mkv", "--cluster", cluster.address, *(["--ship"] if ship else []))
    assert many.returncode == 0, many.stderr
    assert media.frame_hashes(folder / "many.mkv") == media.frame_hashes(folder / "one.mkv")
    certificates = [json.loads((folder / f"{n}.mkv.cugan.json").read_text("utf-8")) for n in ("one", "many")]
    one, many_ = ([chunk["frames"] for chunk in content["chunks"]] for content in certificates)
    assert one == many_
    assert all(chunk["node"] for chunk in certificates[1]["chunks"])


def _tasks() -> list[psutil.Process]:
    """The processes of the nodes that do chunks."""
    return [p for p in psutil.process_iter(["cmdline"]) if "ray::encode_chunk" in " ".join(p.info["cmdline"] or ())]


def test_kills_lose_nothing_and_make_nothing_twice(cluster: Cluster, folder: Path) -> None:
    assert run(folder, "one.mkv").returncode == 0
    rng = random.Random(18)
    kinds = ["worker", "node", "driver", "all", "encoder"]
    before: list[dict[str, Any]] = []
    for k in range(KILLS):
        kind = kinds[k % len(kinds)]
        parent = subprocess.Popen(
            command(folder, "many.mkv", "--cluster", cluster.address), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        count, end = len(finished(folder, "many.mkv")), time.monotonic() + 40
        while len(finished(folder, "many.mkv")) == count and time.monotonic() < end and parent.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        members = family(parent)
        victims = {"worker": _tasks()[:1], "driver": members[:1], "all": members,
                   "encoder": [p for task in _tasks() for p in task.children()][:1]}.get(kind, [])  # fmt: skip
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if kind == "node":
            cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
            cluster.add_node(**NODE)
        if kind == "all":
            parent.kill()
        elif kind in ("worker", "node", "encoder"):
            time.sleep(0.5)
            parent.send_signal(signal.SIGINT)
        parent.wait(60)
        assert_gone(members)
        now = [entry for entry in journal(folder, "many.mkv") if entry["kind"] == "chunk"]
        assert now[: len(before)] == before
        before = now
    last = run(folder, "many.mkv", "--cluster", cluster.address, "--keep-work")
    assert last.returncode == 0, last.stderr
    made = finished(folder, "many.mkv")
    assert sorted(made) == list(range(CHUNKS))  # none twice
    assert media.frame_hashes(folder / "many.mkv") == media.frame_hashes(folder / "one.mkv")


def test_what_is_no_cluster_is_refused(folder: Path) -> None:
    for address, message in (
        ("127.0.0.1:1", "cluster must answer, got "),
        ("local:x", "cluster must be auto, host:port, ray://host:port or local:N, got local:x; see vscugan cluster"),
    ):
        failed = run(folder, "no.mkv", "--cluster", address)
        assert failed.returncode == 2, failed.stderr
        assert failed.stderr.startswith(f"vscugan encode: {message}")
