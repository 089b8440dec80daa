"""A run that goes on: what it finds, what it computes, and what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support import media
from support.encode_runs import X264, work
from support.slow_encode import SLOW, assert_gone, command, family, finished, run

from vscugan.encode.chunks import pipeline
from vscugan.encode.chunks.encoding import ChunkContext, Encoding
from vscugan.encode.worker import encode_run
from vscugan.engine import standby
from vscugan.errors import EncoderError


def interrupt(slow_folder: Path) -> int:
    """Begin an encode of 20 chunks and end it by Ctrl-C; returns how many chunks are finished."""
    media.plain(slow_folder / "in.mkv", frames=24 * 20)
    parent = subprocess.Popen(command(slow_folder, "out.mkv"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while len(finished(slow_folder, "out.mkv")) < 3:
        time.sleep(0.02)
    members = family(parent)
    parent.send_signal(signal.SIGINT)
    _, message = parent.communicate(timeout=30)
    assert parent.returncode == 130
    assert message == b"vscugan encode: interrupted; run the same command again to go on\n"
    assert_gone(members)
    assert not (slow_folder / "out.mkv").exists()
    return len(finished(slow_folder, "out.mkv"))


def test_a_run_with_other_inputs_is_refused(slow_folder: Path) -> None:
    count = interrupt(slow_folder)
    changed = run(slow_folder, "out.mkv", "--arg", "x=1")
    assert changed.returncode == 4
    assert changed.stderr == (
        "vscugan encode: parameters must be as in the run before, got a difference: script-arguments.x was left out, "
        "now 1; run it as before, or say --restart to throw the finished chunks away\n"
    )
    with open(slow_folder / "in.mkv", "r+b") as file:
        old = file.read()
        file.seek(len(old) // 2)
        file.write(b"x")
    other = run(slow_folder, "out.mkv")
    assert other.returncode == 4
    assert "source must be as in the run before, got a difference: source.sha256 was" in other.stderr
    (slow_folder / "in.mkv").unlink()
    missing = run(slow_folder, "out.mkv")
    assert missing.returncode == 3
    assert missing.stderr.startswith("vscugan encode: source must be a readable file, got 'in.mkv': No such file")
    (slow_folder / "in.mkv").write_bytes(old)
    assert len(finished(slow_folder, "out.mkv")) == count
    again = run(slow_folder, "out.mkv")
    assert again.returncode == 0, again.stderr
    assert f"found {count} of 20 chunks finished" in again.stdout
    assert len(media.frame_hashes(slow_folder / "out.mkv")) == 480


def test_the_next_run_reports_what_it_found(slow_folder: Path) -> None:
    count = interrupt(slow_folder)
    work = slow_folder / "out.mkv.vscugan"
    damaged = sorted((work / "chunks").iterdir())[1]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with open(work / "journal.jsonl", "ab") as file:
        file.write(b'{"kind":"chunk","chu')  # torn by a power loss
    (work / "temp" / "000009.mkv").write_bytes(b"half")
    resume = [*media.command("encode", slow_folder / "in.mkv", "-o", slow_folder / "out.mkv", "--resume")]
    unnamed = subprocess.run(resume, capture_output=True, text=True, check=False)
    assert unnamed.returncode == 4
    assert unnamed.stderr == (
        "vscugan encode: what is run must be named again with --resume, got it from out.mkv.vscugan/plan.json alone; "
        f"where it is yours, add: --script {slow_folder / 'slow.vpy'}\n"
    )
    again = subprocess.run(
        [*resume, "--script", str(slow_folder / "slow.vpy")], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert (
        f"found {count - 1} of 20 chunks finished ({(count - 1) * 24} frames); going on from there; chunks 1 are "
        "damaged or gone and are made again; the journal's last line was torn and is dropped"
    ) in again.stdout
    assert not work.exists()
    assert len(media.frame_hashes(slow_folder / "out.mkv")) == 480


def test_a_source_that_goes_away_meanwhile_costs_nothing(slow_folder: Path) -> None:
    media.plain(slow_folder / "in.mkv", frames=24 * 20)
    parent = subprocess.Popen(command(slow_folder, "out.mkv"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while len(finished(slow_folder, "out.mkv")) < 1:
        time.sleep(0.02)
    (slow_folder / "in.mkv").rename(slow_folder / "away.mkv")
    _, message = parent.communicate(timeout=60)
    assert parent.returncode == 3
    assert message.decode() == (
        "vscugan encode: source must stay as it is during the encode, got 'in.mkv' changed or gone; put the old file "
        "back and run the same command again, or say --restart\n"
    )
    assert len(finished(slow_folder, "out.mkv")) == 20
    (slow_folder / "away.mkv").rename(slow_folder / "in.mkv")
    again = run(slow_folder, "out.mkv")
    assert again.returncode == 0, again.stderr
    assert "found 20 of 20 chunks finished (480 frames); going on from there" in again.stdout
    assert len(media.frame_hashes(slow_folder / "out.mkv")) == 480


def test_a_script_whose_frames_report_different_things_is_resumed(slow_folder: Path) -> None:
    """Frame 0's report decides, whichever frame is the first missing one."""
    media.plain(slow_folder / "in.mkv", frames=48)
    spliced = "other = out.std.SetFrameProps(CuganRuntime='torch')\nout = other[:24] + out[24:]\nout.std.ModifyFrame"
    (slow_folder / "slow.vpy").write_text(SLOW.replace("out.std.ModifyFrame", spliced))
    assert run(slow_folder, "out.mkv", "--keep-work").returncode == 0
    (slow_folder / "out.mkv").unlink()
    path = slow_folder / "out.mkv.vscugan" / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    again = run(slow_folder, "out.mkv")
    assert again.returncode == 0, again.stderr
    assert "found 1 of 2 chunks finished" in again.stdout
    assert json.loads((slow_folder / "out.mkv.cugan.json").read_text())["made_by"] == {"runtime": "torch"}


def characters_read() -> int:
    """Bytes that this process and the children that have ended have read so far."""
    (line,) = (line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("rchar: "))
    return int(line.split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="Linux tells what a process reads")
def test_files_are_read_and_frames_computed_no_more_than_they_must_be(tmp_path: Path) -> None:
    source, output = tmp_path / "a.mkv", tmp_path / "b.mkv"
    noise = ("-f", "lavfi", "-i", "anoisesrc=d=60:r=48000", "-map", 0, "-map", 1)
    media.ffmpeg(*media.picture(24), *noise, *media.FAST, "-c:a", "pcm_s16le", source)
    before = characters_read()
    work(source, output, *X264)
    # the source is looked through, indexed, decoded and copied from; the result, as large, is looked through
    assert (characters_read() - before) / source.stat().st_size < 5.5
    computed = (tmp_path / "b.log").read_text().split()
    assert sorted(map(int, computed)) == list(range(24))


def test_engines_are_built_before_the_clip_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run has the bits of an uncut one, so no other runtime may compute meanwhile."""
    monkeypatch.setattr(standby, "_waits", threading.Event())
    real, waited = encode_run.build, list[bool]()

    def build(*arguments: Any) -> Any:
        waited.append(standby._waits.is_set())
        return real(*arguments)

    monkeypatch.setattr(encode_run, "build", build)
    work(media.plain(tmp_path / "a.mkv", frames=24), tmp_path / "b.mkv", *X264)
    assert waited == [True]


def test_a_resumed_run_computes_what_is_missing_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output, log = media.plain(tmp_path / "a.mkv", frames=60), tmp_path / "b.mkv", tmp_path / "b.log"
    real = pipeline.finish_chunk

    def failing(context: ChunkContext, encoding: Encoding) -> Any:
        if encoding.chunk.number:
            encoding.process.wait()
            raise EncoderError("no more")
        return real(context, encoding)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "finish_chunk", failing)
        with pytest.raises(EncoderError, match="no more"):
            work(source, output, *X264, chunk_s=1)
    log.unlink()
    work(source, output, *X264, chunk_s=1)
    assert sorted(map(int, log.read_text().split())) == list(range(24, 60))
    assert len(media.frame_hashes(output)) == 60
