"""Measure how chunks are spread over a cluster, for docs/cluster.md: ``cluster_report.py [scale] [mixed] [memory]``.

A stand-in for the chunk sleeps: what is measured is the driver and Ray, and not the machine that all of it runs on.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import ray

from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.job.journal import Journal
from vscugan.encode.worker import cluster

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "scripts"), str(ROOT / "tests")]
from report import markdown, write_between  # noqa: E402
from support import media  # noqa: E402

REPORT = ROOT / "docs" / "cluster.md"
WORKERS, ROUNDS, CHUNK_S = (8, 64, 256), 4, 10.0
MIXED = {"slow": 4.0, "fast": 1.0}  #: seconds of a chunk on each kind of node
CHUNK_FRAMES = 240
Part = tuple[str, str]


@dataclass(frozen=True)
class Context:
    """As much of a chunk's context as the driver's side needs."""

    folder: Path
    journal: Journal
    muxer: str = "matroska"

    @property
    def temp_folder(self) -> Path:
        return self.folder

    def emit(self, event: str, /, **fields: Any) -> None:
        """Nobody listens."""


class Progress:
    """Counts nothing."""

    def finished(self, bytes_written: int) -> None: ...
    def frame(self, reused: float | None) -> None: ...


def stand_in(work: Any, chunk: Chunk) -> cluster.Made:
    """A chunk that takes as long as ``work`` says, by the node's kind; its file is ``work``'s."""
    kinds = ray.get_runtime_context().get_assigned_resources()
    time.sleep(work["seconds"]["fast" if "fast" in kinds else "slow"])
    content = work["content"]
    entry = {
        "kind": "chunk", "chunk": chunk.number, "start": chunk.start, "stop": chunk.stop,
        "file": f"{chunk.number:06d}.mkv", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        "codec": "ffv1", "header_sha256": "", "order": list(range(CHUNK_FRAMES)), "frames": ["0" * 16] * CHUNK_FRAMES,
        "sketches": ["0" * 32] * CHUNK_FRAMES, "hardware": {}, "tile": None, "seconds": 0.0,
    }  # fmt: skip
    return cluster.Made(entry=entry, content=content, node="stand-in", made_by={})
