"""How a worker's end is reported: Ctrl-C, crashes, and their log."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import media
from support.slow_encode import assert_gone, command, family, finished, run

from vscugan.cli.guard import SAME_SIGNAL_S
from vscugan.encode.job.work_folder import check_folder


def test_programs_are_notified_of_ctrl_c(slow_folder: Path) -> None:
    media.plain(slow_folder / "in.mkv", frames=24 * 20)
    argv = command(slow_folder, "out.mkv", "--json")
    parent = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert parent.stdout
    events = []
    for line in parent.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == "chunk":
            parent.send_signal(signal.SIGINT)
            break
    events += [json.loads(line) for line in parent.stdout]
    assert parent.wait(30) == 130
    assert events[-1] == {"event": "interrupted", "code": 130}
    assert (slow_folder / "out.mkv.vscugan").is_dir()


def test_a_second_ctrl_c_does_not_wait_for_a_worker_that_hangs(slow_folder: Path) -> None:
    media.plain(slow_folder / "in.mkv", frames=24 * 20)
    argv = command(slow_folder, "out.mkv", "--json")
    parent = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert parent.stdout
    assert any(json.loads(line)["event"] == "chunk" for line in parent.stdout)
    members = family(parent)
    members[0].suspend()
    parent.send_signal(signal.SIGINT)
    time.sleep(SAME_SIGNAL_S + 0.1)
    parent.send_signal(signal.SIGINT)
    _, errors = parent.communicate(timeout=10)
    assert parent.returncode == 130
    assert errors == b"vscugan encode: interrupted; run the same command again to go on\n"
    assert_gone(members)


def test_a_worker_has_no_stdin_beside_its_jobs() -> None:
    """What it loads may ask for stdin, and on Windows would wait for the thread that reads it."""
    code = "from vscugan.encode.worker.worker import os, take_stdin\nprint(os.read(take_stdin(), 9), os.read(0, 9))"
    run = subprocess.run([sys.executable, "-P", "-c", code], input=b"a job\n", capture_output=True, check=True)
    assert run.stdout.strip() == rb"b'a job\n' b''"


def test_scripts_print_what_old_code_pages_do_not_have(slow_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media.plain(slow_folder / "in.mkv", frames=3)
    (slow_folder / "slow.vpy").write_text(f"print('日本語')\n1 / 0\n{media.RESIZE}", encoding="utf-8")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")  # as Python on Windows writes into files
    failed = run(slow_folder, "out.mkv")
    assert "script must run, got ZeroDivisionError" in failed.stderr


def test_a_second_run_is_refused_until_the_first_is_gone(slow_folder: Path) -> None:
    media.plain(slow_folder / "in.mkv", frames=24 * 30)
    first = subprocess.Popen(command(slow_folder, "out.mkv"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(finished(slow_folder, "out.mkv")) < 1:
        time.sleep(0.02)
    second = run(slow_folder, "out.mkv")
    assert second.returncode == 5
    assert second.stderr == (
        f"vscugan encode: work folder out.mkv.vscugan must be free, got one that process {first.pid} works in; "
        "wait for it, or end it and run this again\n"
    )
    members = family(first)
    first.kill()
    first.wait()
    assert_gone(members)
    assert run(slow_folder, "out.mkv").returncode == 0  # the lock went with its holders


def test_an_output_is_never_overwritten_unasked(slow_folder: Path) -> None:
    media.plain(slow_folder / "in.mkv", frames=24)
    (slow_folder / "out.mkv").write_bytes(b"mine")
    refused = run(slow_folder, "out.mkv")
    assert refused.returncode == 4
    assert refused.stderr == (
        "vscugan encode: output must not exist yet, got 'out.mkv'; name another one, or say --overwrite\n"
    )
    assert (slow_folder / "out.mkv").read_bytes() == b"mine"
    assert run(slow_folder, "in.mkv", "--overwrite").returncode == 4
    assert run(slow_folder, "out.mkv", "--overwrite").returncode == 0
    assert len(media.frame_hashes(slow_folder / "out.mkv")) == 24


def test_a_foreign_folder_is_left_alone(slow_folder: Path) -> None:
    media.plain(slow_folder / "in.mkv", frames=24)
    work = slow_folder / "out.mkv.vscugan"
    work.mkdir()
    (work / "diary.txt").write_text("mine")
    refused = run(slow_folder, "out.mkv")
    assert refused.returncode == 4
    assert "work folder must hold nothing else, got 'diary.txt' in 'out.mkv.vscugan'" in refused.stderr
    assert (work / "diary.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (
            "from vscugan.encode.worker import encode_run\nencode_run.check_format = lambda *_: 1 / 0\n", 70,
            "internal error, please report it with out.mkv.vscugan/worker.log: ZeroDivisionError: division by zero",
        ),
        (
            "import os\nos.kill(os.getpid(), 9)\n", 9,
            "worker must finish, got its end by SIGKILL; if memory ran out, name a smaller --memory or --tile; run the "
            "same command again to go on",
        ),
        (
            "import os\nos.write(2, b'the last words\\n')\nlogging.warning('tile: 64')\nos._exit(3)\n", 9,
            "worker must finish, got exit code 3: the last words; run the same command again to go on",
        ),
    ],
    ids=["internal", "killed", "ended"],
)  # fmt: skip
def test_the_log_of_what_must_be_reported_is_kept(slow_folder: Path, fault: str, code: int, message: str) -> None:
    media.plain(slow_folder / "in.mkv", frames=3)
    (slow_folder / "slow.vpy").write_text(f"import logging\nlogging.info('tile: 128')\n{fault}{media.RESIZE}")
    failed = run(slow_folder, "out.mkv")
    assert failed.returncode == code, failed.stderr
    assert failed.stderr == f"vscugan encode: {message}\n"
    assert "tile: 128" in (slow_folder / "out.mkv.vscugan" / "worker.log").read_text(encoding="utf-8")
    check_folder(slow_folder / "out.mkv.vscugan")  # nothing of it is in the way of the next run
