"""Measure how chunks are spread over a cluster, for docs/guide/cluster.md: ``cluster_report.py [scale mixed memory]``.

A stand-in for the chunk sleeps: what is measured is the driver and Ray, not the one machine that all of it runs on.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import ray
from ray.cluster_utils import Cluster as Nodes
from report import write_table

from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.chunks.progress_meter import ProgressMeter
from vscugan.encode.cluster.cluster import Cluster
from vscugan.encode.cluster.nodes import CPU_SLOT
from vscugan.encode.job.journal import Journal

REPORT = Path(__file__).resolve().parent.parent / "docs" / "guide" / "cluster.md"
WORKERS, ROUNDS, CHUNK_S = (8, 64, 256), 4, 10.0
#: two nodes of so many slots each, and how long a chunk takes on each, in s
MIXED_SLOTS, MIXED_S, MIXED_CHUNKS = 4, (4.0, 1.0), 300
MEMORY_CHUNKS, MEMORY_BYTES = (250, 500, 1000, 2000), 1 << 20
CHUNK_FRAMES = 240
STORE_BYTES = 256 << 20


def stand_in(work: Any, chunk: Chunk) -> Any:
    """A chunk that takes as long as ``work`` says for its node; what it gives back is as large as ``work`` says.

    It looks like ``Made``, and keeps the processes of 256 slots small by importing nothing of vscugan.
    """
    seconds = work["seconds"]
    time.sleep(seconds.get(ray.get_runtime_context().get_node_id(), seconds.get("any", 0.0)))
    content, digits = os.urandom(work["bytes"]), os.urandom(24 * CHUNK_FRAMES).hex()
    entry = {
        "kind": "chunk", "chunk": chunk.number, "start": chunk.start, "stop": chunk.stop,
        "file": f"{chunk.number:06d}.mkv", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        "codec": "h264", "header_sha256": "", "order": list(range(CHUNK_FRAMES)),
        "frames": [digits[48 * k : 48 * k + 16] for k in range(CHUNK_FRAMES)],
        "sketches": [digits[48 * k + 16 : 48 * k + 48] for k in range(CHUNK_FRAMES)],
        "hardware": {}, "tile": None, "seconds": 0.0,
    }  # fmt: skip
    return SimpleNamespace(entry=entry, content=content, node="stand-in", made_by={})


def chunks(count: int) -> list[Chunk]:
    """So many chunks of 10 s."""
    return [Chunk(number=n, start=n * CHUNK_FRAMES, stop=(n + 1) * CHUNK_FRAMES) for n in range(count)]


def encode(count: int, seconds: dict[str, float], size: int = 20_000) -> float:
    """Have so many chunks done by the stand-in, and kept; returns how long that took, in s."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "temp").mkdir()
        (folder / "chunks").mkdir()
        journal = Journal(folder / "journal.jsonl")
        journal.append({"kind": "begin", "plan": {}, "facts": {"source": {}, "versions": {}, "made_by": {}}})
        journal.append({"kind": "chunk", "chunk": -1, "header_sha256": ""})  # the first, which would be decoded
        context = _context(folder, journal)
        progress = ProgressMeter(lambda event, /, **fields: None, frames=count * CHUNK_FRAMES, done=0)
        work = {"seconds": seconds, "bytes": size}
        cluster = Cluster(context, work, {}, progress, task=stand_in)
        started = time.monotonic()
        cluster.encode(chunks(count))
        elapsed = time.monotonic() - started
        journal.close()
    return elapsed


def _context(folder: Path, journal: Journal) -> Any:
    """As much of a chunk's context as keeping one needs."""
    from threading import Lock

    return SimpleNamespace(
        temp_folder=folder / "temp", chunk_folder=folder / "chunks", journal=journal, committing=Lock(),
        muxer="matroska", emit=lambda event, /, **fields: None,
    )  # fmt: skip


@contextmanager
def nodes(*slots: int) -> Iterator[list[str]]:
    """A cluster of nodes on this machine with so many slots each; yields their ids."""
    found = Nodes()
    try:
        ids = []
        for count in slots:
            options = {"num_cpus": count, "resources": {CPU_SLOT: count}, "object_store_memory": STORE_BYTES}
            ids.append(found.add_node(include_dashboard=False, **options).node_id)
        found.wait_for_nodes()
        ray.init(address=found.address, log_to_driver=False, logging_level="ERROR")
        _wake(sum(slots))
        yield ids
    finally:
        ray.shutdown()
        found.shutdown()


def _wake(count: int) -> None:
    """Let so many processes be there: starting hundreds on a few cores takes minutes, and is not what is measured."""
    barrier = ray.remote(num_cpus=0)(_Barrier).remote(count)
    wait = ray.remote(num_cpus=0, resources={CPU_SLOT: 1})(_arrive)
    ray.get([wait.remote(barrier, chunk) for chunk in chunks(count)])


class _Barrier:
    """Counts arrivals."""

    def __init__(self, count: int) -> None:
        self.missing = count

    def arrive(self) -> None:
        self.missing -= 1

    def is_open(self) -> bool:
        return self.missing <= 0


def _arrive(barrier: Any, chunk: Chunk) -> None:
    """Wait for all others; a chunk's module is imported now."""
    ray.get(barrier.arrive.remote())
    while not ray.get(barrier.is_open.remote()):
        time.sleep(5.0)


def scale() -> None:
    """Efficiency by the number of workers."""
    rows = [["workers", "chunks of 10 s", "s", "ideal, s", "of ideal", "driver's CPU for a chunk, ms"]]
    for workers in WORKERS:
        with nodes(workers):
            before = time.process_time()
            elapsed = encode(workers * ROUNDS, {"any": CHUNK_S})
            cpu = (time.process_time() - before) / (workers * ROUNDS)
        ideal = ROUNDS * CHUNK_S
        rows.append([f"{workers}", f"{workers * ROUNDS}", f"{elapsed:.1f}", f"{ideal:.0f}", f"{ideal / elapsed:.3f}",
                     f"{cpu * 1e3:.1f}"])  # fmt: skip
        print(rows[-1], flush=True)
    write_table(REPORT, "scale", rows)


def mixed() -> None:
    """Two nodes, one of which is four times as fast."""
    with nodes(MIXED_SLOTS, MIXED_SLOTS) as ids:
        elapsed = encode(MIXED_CHUNKS, dict(zip(ids, MIXED_S, strict=True)))
    speed, most = MIXED_CHUNKS / elapsed, sum(MIXED_SLOTS / seconds for seconds in MIXED_S)
    rows = [["nodes", "chunks", "chunks a second", "sum of both, alone", "of the sum"],
            [f"{MIXED_SLOTS} slots of {MIXED_S[0]:.0f} s, {MIXED_SLOTS} of {MIXED_S[1]:.0f} s", f"{MIXED_CHUNKS}",
             f"{speed:.2f}", f"{most:.2f}", f"{speed / most:.3f}"]]  # fmt: skip
    write_table(REPORT, "mixed", rows)


def memory() -> None:
    """The driver's memory by the number of chunks, each of 1 MiB."""
    rows = [["chunks of 1 MiB", "driver's memory, MiB", "chunks a second", "driver's CPU for a chunk, ms"]]
    with nodes(8):
        encode(50, {}, MEMORY_BYTES)
        for count in MEMORY_CHUNKS:
            before = time.process_time()
            elapsed = encode(count, {}, MEMORY_BYTES)
            cpu = (time.process_time() - before) / count
            rows.append([f"{count}", f"{_memory() >> 20}", f"{count / elapsed:.0f}", f"{cpu * 1e3:.1f}"])
    rows[0][1] += f" (most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10})"
    write_table(REPORT, "memory", rows)


def _memory() -> int:
    """What this process holds for itself, in bytes."""
    found = psutil.Process().memory_full_info()
    return int(found.uss)


PARTS: dict[str, Callable[[], None]] = {"scale": scale, "mixed": mixed, "memory": memory}


def main() -> None:
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help="what to measure; all without it")
    for part in parser.parse_args().parts or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()
