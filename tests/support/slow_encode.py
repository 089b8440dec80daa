"""Encodes that last long enough to be killed."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

import psutil

from support import media

#: each frame waits, so that an encode lasts for many kills
SLOW = """import time
from typing import Any
import vapoursynth as vs
def wait(n, f):
    time.sleep(0.008)
    return f
out = vs.core.resize.Bicubic(clip, 96, 64)
out.std.ModifyFrame(out, wait).set_output()
"""
GONE_S = 8.0
ENCODER = ("--", "--preset", "ultrafast")


def command(folder: Path, output: str, *argv: object) -> list[str]:
    """The command line of a slow encode in chunks of 1 s."""
    own = ("--script", folder / "slow.vpy", "--chunk", 1, "--encoder", "x264", *argv)
    return list(media.command("encode", folder / "in.mkv", "-o", folder / output, *own, *ENCODER))


def run(folder: Path, output: str, *argv: object) -> subprocess.CompletedProcess[str]:
    """A slow encode from its beginning to its end."""
    return subprocess.run(command(folder, output, *argv), capture_output=True, text=True, check=False)


def journal(folder: Path, output: str) -> list[dict[str, Any]]:
    """The entries of a run's journal, but for a torn one."""
    path = folder / f"{output}.vscugan" / "journal.jsonl"
    content = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]


def finished(folder: Path, output: str) -> list[int]:
    """The numbers of the finished chunks."""
    return [entry["chunk"] for entry in journal(folder, output) if entry["kind"] == "chunk"]


def assert_gone(processes: list[psutil.Process]) -> None:
    """All of them have ended, or end soon."""
    _, alive = psutil.wait_procs(processes, timeout=GONE_S)
    assert not [p.cmdline() for p in alive if p.status() != psutil.STATUS_ZOMBIE]


def family(parent: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Worker first, then what it has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        members: list[psutil.Process] = psutil.Process(parent.pid).children(recursive=True)
        return members
    return []
