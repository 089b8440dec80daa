"""Encodes by a script that needs no network, as processes and in this one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support import media
from vscugan.__main__ import main
from vscugan.encode.chunks.children import Children
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.lock import take_lock
from vscugan.encode.worker.encode_run import Run


def encode_resized(source: Path, output: Path, encoder: str, *options: object) -> str:
    """Encode by a resize, no network; returns what came on stdout.

    ``options``: the encoder's.
    """
    script = output.parent / "resize.vpy"
    script.write_text(media.RESIZE)
    command = media.command("encode", source, "-o", output, "--script", script, "--encoder", encoder, "--", *options)
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def encode_in(folder: Path, *argv: object) -> subprocess.CompletedProcess[str]:
    """``vscugan encode`` with these arguments, in this folder."""
    return subprocess.run(
        media.command("encode", *argv), capture_output=True, text=True, check=False, cwd=folder, timeout=100
    )


def refused(folder: Path, code: int, message: str, *argv: object) -> None:
    """An encode ends with this code and message, and leaves nothing behind."""
    before = sorted(folder.rglob("*"))
    run = encode_in(folder, *argv)
    assert run.returncode == code, run.stderr
    assert run.stderr == f"vscugan encode: {message}\n"
    assert sorted(folder.rglob("*")) == before


#: each frame that is computed leaves its number in a file
COUNTED = """import vapoursynth as vs
def count(n, f):
    with open(log, "a") as file:
        file.write(f"{n}\\n")
    return f
out = vs.core.resize.Bicubic(clip, clip.width * 2, clip.height * 2)
out.std.ModifyFrame(out, count).set_output()
"""
X264 = ("x264", ["--preset", "ultrafast"])


def work(source: Path, output: Path, encoder: str, arguments: list[str], chunk_s: float = 10) -> None:
    """Encode in this process."""
    script = output.with_suffix(".vpy")
    script.write_text(COUNTED)
    job = EncodeJob(
        source=str(source), output=str(output), script=str(script), encoder=encoder, encoder_arguments=arguments,
        chunk_s=chunk_s, script_arguments={"log": str(output.with_suffix(".log"))},
    )  # fmt: skip
    lock = take_lock(job.work_folder)
    try:
        Run(job, lambda event, /, **fields: None, Children()).work()
    finally:
        os.close(lock)


def refusal(work: Path, capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What ``encode`` says when it ends before the start; the user's things are untouched."""
    assert main(["encode", str(work.parent / "a.mkv"), "-o", str(work.with_suffix("")), *argv]) == 4
    assert (work.parent / "mine" / "diary.txt").read_text() == "mine"
    return capsys.readouterr().err.removeprefix("vscugan encode: ").rstrip("\n")
