"""Chunks on three nodes of a cluster on this machine: the same frames, whatever dies."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import media
from support.slow_encode import SLOW, assert_gone, command, family, finished, journal, run

from vscugan.encode.cluster.nodes import NodeFacts, connect, processors, refuse_other_nodes
from vscugan.errors import ArgumentError, ConflictError

pytest.importorskip("ray")
from ray.cluster_utils import Cluster

#: VSCUGAN_KILLS=30 makes more of them
KILLS = int(os.environ.get("VSCUGAN_KILLS", "5"))
NODES = 3
CHUNKS = 8 * KILLS
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source, a script, and what one machine makes of them."""
    folder = tmp_path_factory.mktemp("cluster")
    media.plain(folder / "in.mkv", frames=24 * CHUNKS)
    (folder / "slow.vpy").write_text(SLOW.replace("0.008", "0"))
    assert run(folder, "one.mkv").returncode == 0
    (folder / "slow.vpy").write_text(SLOW.replace("0.008", "0.05"))  # chunks must be left when the last kill comes
    return folder


def certified(folder: Path, output: str) -> list[dict[str, Any]]:
    """The chunks in an output's certificate."""
    chunks: list[dict[str, Any]] = json.loads((folder / f"{output}.cugan.json").read_text("utf-8"))["chunks"]
    return chunks


def test_a_shipped_source_gives_the_frames_of_one_machine(cluster: Cluster, folder: Path) -> None:
    source = media.plain(folder / "short.mkv", frames=24)
    own = ("--model", "fast", "--segment", 12, "--chunk", 0.5, "--encoder", "x264")
    for name, argv in (("here.mkv", ()), ("shipped.mkv", ("--cluster", cluster.address, "--ship", "--same-bits"))):
        call = media.command("encode", source, "-o", folder / name, "--json", *own, *argv)
        out = subprocess.run(call, capture_output=True, text=True, check=False)
        assert out.returncode == 0, out.stderr
    progress = [event for event in map(json.loads, out.stdout.splitlines()) if event["event"] == "progress"][-1]
    assert progress["cluster"]["nodes"].keys() == {socket.gethostname()}
    assert progress["cluster"]["chunks"] == 0
    assert media.frame_hashes(folder / "shipped.mkv") == media.frame_hashes(folder / "here.mkv")
    here, shipped = (certified(folder, name) for name in ("here.mkv", "shipped.mkv"))
    assert [chunk["frames"] for chunk in shipped] == [chunk["frames"] for chunk in here]
    assert [chunk["node"] for chunk in here] == [None, None]
    assert {chunk["node"] for chunk in shipped} == {socket.gethostname()}
    assert {chunk["made_by"]["precision"] for chunk in shipped} == {"fp32"}


def _tasks() -> list[psutil.Process]:
    """The processes of the nodes that do chunks."""
    return [p for p in psutil.process_iter(["cmdline"]) if "ray::encode_chunk" in " ".join(p.info["cmdline"] or ())]


def _encoders() -> list[psutil.Process]:
    found = []
    for task in _tasks():
        with contextlib.suppress(psutil.NoSuchProcess):
            found += task.children()
    return found


@pytest.mark.timeout(900)
def test_kills_lose_nothing_and_make_nothing_twice(cluster: Cluster, folder: Path) -> None:
    rng = random.Random(18)
    kinds = ["worker", "node", "driver", "all", "encoder"]
    before: list[dict[str, Any]] = []
    encoders: set[psutil.Process] = set()
    for k in range(KILLS):
        kind = kinds[k % len(kinds)]
        parent = subprocess.Popen(
            command(folder, "many.mkv", "--cluster", cluster.address), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        count, end = len(finished(folder, "many.mkv")), time.monotonic() + 60
        while len(finished(folder, "many.mkv")) == count and time.monotonic() < end and parent.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        members = family(parent)
        encoders |= set(_encoders())
        victims = {"worker": _tasks()[:1], "driver": members[:1], "all": members, "encoder": _encoders()[:1]}
        for process in victims.get(kind, []):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if kind == "node":
            cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
            cluster.add_node(**NODE)
        if kind == "all":
            parent.kill()
        elif kind != "driver":
            time.sleep(0.5)
            parent.send_signal(signal.SIGINT)
        parent.wait(60)
        assert_gone(members)
        now = [entry for entry in journal(folder, "many.mkv") if entry["kind"] == "chunk"]
        assert now[: len(before)] == before
        before = now
    last = run(folder, "many.mkv", "--cluster", cluster.address, "--keep-work")
    assert last.returncode == 0, last.stderr
    assert sorted(finished(folder, "many.mkv")) == list(range(CHUNKS))  # none twice
    assert media.frame_hashes(folder / "many.mkv") == media.frame_hashes(folder / "one.mkv")
    assert_gone(list(encoders))


def test_nodes_that_would_make_something_else_are_refused() -> None:
    here = NodeFacts(node="here", versions={"vscugan": "1", "ncnn": "2"}, files={"a.mkv": "00"}, hardware={"cpu": "A"})
    refuse_other_nodes([replace(here, node="there", versions={"vscugan": "1"})], here)
    for other, what in (
        (replace(here, node="there", versions={"vscugan": "2"}), "vscugan was 1, now 2"),
        (replace(here, node="there", files={"a.mkv": None}), "a.mkv was 00, now None"),
    ):
        with pytest.raises(ConflictError, match="nodes must have the same versions and files, got a difference on there"
                           f": {re.escape(what)}; install or share the same there"):  # fmt: skip
            refuse_other_nodes([here, other], here)


def test_processors_that_differ_are_named() -> None:
    here = NodeFacts(node="a", versions={}, files={}, hardware={"cpu": "A"})
    assert processors([here, replace(here, node="b")]) == ""
    other = replace(here, node="b", hardware={"cpu": "B", "gpu:0": "C"})
    assert processors([here, other]) == "A (a), B; C (b)"


#: prints how many chunks a cluster of our own does at a time, and where its processes listen
LOCAL = """
import psutil
from vscugan.encode.cluster.nodes import connect, probe, probe_nodes, refuse_other_nodes, slots
connect("local:2")
nodes = probe_nodes([])
refuse_other_nodes(nodes, probe([]))
me = psutil.Process()
listening = {c.laddr.ip for p in [me, *me.children(True)] for c in p.net_connections("inet") if c.status == "LISTEN"}
print(len(nodes), slots()["cpu"], *sorted(listening))
"""


def test_a_cluster_of_our_own_listens_on_this_machine_alone() -> None:
    out = subprocess.run([sys.executable, "-P", "-c", LOCAL], capture_output=True, text=True, check=True).stdout.split()
    assert out[:2] == ["1", "2"]
    assert out[2:]
    assert {address.removeprefix("::ffff:") for address in out[2:]} == {"127.0.0.1"}


def test_without_a_cluster_nothing_of_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, vscugan.encode.worker.encode_run, vscugan.cli.encode_command; print({'ray'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True).stdout == "set()\n"
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ArgumentError, match="cluster must have Ray, got none installed; run pip install ray"):
        connect("auto")


def test_what_is_no_cluster_is_refused(folder: Path) -> None:
    for address, message in (
        ("127.0.0.1:1", "cluster must answer, got "),
        ("local:x", "cluster must be auto, host:port, ray://host:port or local:N, got local:x; see vscugan cluster"),
    ):
        failed = run(folder, "no.mkv", "--cluster", address)
        assert failed.returncode == 2, failed.stderr
        assert failed.stderr.startswith(f"vscugan encode: {message}")
