"""How commands end: errors, signals, and streams that nobody reads."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import vapoursynth as vs
from PIL import Image
from support import media

from vscugan.__main__ import COMMANDS, main
from vscugan.cli import guard
from vscugan.cli.guard import Ended
from vscugan.image.results import NAME

ENCODE = ("encode", "a.mkv", "-o", "b.mkv")
FAST = ("--device", "cpu", "--backend", "torch")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (Ended("SIGTERM"), 143, "ended by SIGTERM"),
        (Ended("SIGHUP"), 129, "ended by SIGHUP"),
        (vs.Error("cugan.Upscale: internal error, please report it\nTraceback"), 1, "internal error, please report it"),
        (OSError("no such disk"), 7, "files must be usable, got no such disk; correct this, then run the same command "
         "again"),
        (ModuleNotFoundError("No module named 'av'", name="av"), 2, "av must be installed, got none; run pip install "
         "vapoursynth-bestsource imageio-ffmpeg av rich pillow tifffile imagecodecs"),
        (ModuleNotFoundError("No module named 'xxhash'", name="xxhash"), 2, "xxhash must be installed, got none; run "
         "pip install xxhash"),
        (ZeroDivisionError("by 0"), 70, "internal error, please report it: ZeroDivisionError: by 0"),
    ],
)  # fmt: skip
def test_every_end_is_one_line_and_a_code(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*_: object) -> int:
        raise error

    for command in COMMANDS:
        monkeypatch.setattr(importlib.import_module(f"vscugan.cli.{command}_command"), "run", raises)
        assert main([command]) == code
        out, err = capsys.readouterr()
        assert err.splitlines()[-1] == f"vscugan {command}: {text}"
        assert out == ""
        assert ("Traceback" in err) == (code == 70)  # which is to be reported
    event = {"event": "interrupted"} if code > 128 else {"event": "error", "message": text}
    assert main(["encode", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == event | {"code": code}


def test_signals_come_through_what_swallows_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that is being created turns every exception into an error of its own."""
    signals = guard._Signals()
    monkeypatch.setattr(guard, "_signals", signals)

    def swallows(*_: object) -> int:
        try:
            signals.receive(signal.SIGTERM, None)
        except Ended as error:
            signals.receive(signal.SIGTERM, None)  # timeout sends it to the process and to its group
            raise vs.Error("") from error
        return 0

    monkeypatch.setattr(importlib.import_module("vscugan.cli.image_command"), "run", swallows)
    assert main(["image"]) == 143
    signals.receive(signal.SIGHUP, None)  # nothing stops the cleaning up
    assert capsys.readouterr() == ("", "vscugan image: ended by SIGTERM\n")


def test_programs_get_a_wrong_argument_as_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    for argv, message in (
        (["--chunk", "x"], "chunk must be a number, got x; run vscugan encode --help to see all options"),
        (["--chunk", "0"], "chunk must be above 0 and at most 3600 s, got 0; leave it out for 10"),
    ):
        assert main([*ENCODE, "--json", *argv, "--", "--json"]) == 2
        out, err = capsys.readouterr()
        assert json.loads(out) == {"event": "error", "message": message, "code": 2}
        assert err == f"vscugan encode: {message}\n"


def test_output_that_nobody_reads_ends_nothing() -> None:
    """The reader of a pipe is gone, or the disk that a log is on is full."""
    reader, writer = os.pipe()
    os.close(reader)
    for target in (writer, "/dev/full"):
        with open(target, "w", encoding="ascii") as stream:
            for _ in range(2):
                print("x" * 100_000, file=guard.Output(stream), flush=True)


def test_names_are_written_into_old_code_pages(tmp_path: Path) -> None:
    """As Python on Windows writes into files and pipes."""
    folder = tmp_path / "日本語"
    folder.mkdir()
    (folder / "own.toml").write_text("")
    run = subprocess.run(
        media.command("profiles", "--config", folder / "own.toml"),
        capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": "cp1252"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert rb"\u65e5\u672c\u8a9e" in run.stdout


SLOW = """import time
import vapoursynth as vs
def wait(n, f):
    time.sleep(0.1)
    return f
clip.std.ModifyFrame(clip, wait).set_output()
"""


def test_sigterm_ends_an_encode_in_order_and_a_closed_stdout_ends_nothing(tmp_path: Path) -> None:
    """Nobody reads the lines, as after ``>&-``; the work is done all the same, until the signal."""
    media.plain(tmp_path / "a.mkv", frames=240)
    (tmp_path / "slow.vpy").write_text(SLOW)
    argv = ("encode", "a.mkv", "-o", "b.mkv", "--script", "slow.vpy", "--encoder", "ffv1", "--chunk", "1")
    run = subprocess.Popen(
        ["sh", "-c", 'exec "$@" >&-', "sh", *media.command(*argv)], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    chunks = tmp_path / "b.mkv.vscugan" / "chunks"
    while not (chunks.is_dir() and any(chunks.iterdir())):
        assert run.poll() is None, run.communicate()
        time.sleep(0.02)
    children = psutil.Process(run.pid).children(recursive=True)
    assert children
    run.send_signal(signal.SIGTERM)
    assert run.communicate(timeout=60)[1] == "vscugan encode: ended by SIGTERM; run the same command again to go on\n"
    assert run.returncode == 143
    assert not psutil.wait_procs(children, 10)[1]


def test_ctrl_c_ends_a_picture_that_is_being_computed(tmp_path: Path) -> None:
    for name, size in (("a.png", (64, 48)), ("b.png", (2400, 1800))):
        Image.new("RGB", size).save(tmp_path / name)
    argv = ("image", tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out", *FAST, "--memory", 1000)
    run = subprocess.Popen(media.command(*argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout
    assert "a.png" in run.stdout.readline()
    time.sleep(0.5)  # now the second one is on its way, for half a minute
    start = time.monotonic()
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert (out, err) == ("", "vscugan image: interrupted; run the same command again to go on\n")
    assert run.returncode == 130
    assert time.monotonic() - start < 5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [NAME, "a.png"]
