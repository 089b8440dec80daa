"""How a run is displayed: on a terminal, in a pipe, and to programs."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from support import media

from vscugan.cli import progress_display
from vscugan.cli.progress_display import Plain, choose_display

EVENT = {"event": "progress", "frames": 12345, "of": 34567, "fps": 0.5, "fps_mean": 0.52, "eta_s": 123456,
         "bytes": 123456789, "reused": 0.312}  # fmt: skip
LINE = "12345/34567 frames (35.7%), 0.50 fps now, 0.52 mean, 31% reused, 117.7 MiB so far, 34:17:36 left"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(command: list[str], columns: int) -> tuple[int, str]:
    """Run a command on a terminal; returns its exit code and all its output, without colours and the bar."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, env=environment | {"TERM": "xterm"}
    )
    os.close(follower)
    output = b""
    try:
        while piece := os.read(leader, 65536):
            output += piece
    except OSError:  # how Linux reports that nobody writes any more
        pass
    os.close(leader)
    return process.wait(), re.sub(r"[━╸╺]", " ", _CONTROL.sub("", output.decode()))


@pytest.mark.parametrize("columns", [60, 80, 130])
def test_a_terminal_shows_every_figure(columns: int) -> None:
    program = (
        "from vscugan.cli.progress_display import choose_display, Live\n"
        "display = choose_display(as_json=False)\nassert isinstance(display, Live)\n"
        f"display({{'event': 'model'}})\ndisplay({EVENT!r})\n"
        "display({'event': 'note', 'text': 'a [bold] name'})\ndisplay.close()\n"
    )
    code, text = on_terminal([*media.command()[:2], "-c", program], columns)
    assert code == 0, text
    assert LINE in " ".join(text.split())
    assert "loading the model" in text
    assert "note: a [bold] name" in text


def test_an_encode_on_a_terminal(tmp_path: Path) -> None:
    source, script = media.plain(tmp_path / "in.mkv"), tmp_path / "resize.vpy"
    script.write_text(media.RESIZE)
    argv = ("encode", source, "-o", tmp_path / "out.mkv", "--script", script, "--encoder", "ffv1")
    code, text = on_terminal(list(media.command(*argv)), 80)
    assert code == 0, text
    text = " ".join(text.split())
    for part in ("30 frames to 128x96 YUV420P8, 24 fps, by ffv1", "(-level 3 -g 1 -slicecrc 1) in 1 chunk",
                 "30/30 frames (100.0%)", "fps now", "0:00:00 left",
                 "checking the file", "done: 'out.mkv', 30 frames"):  # fmt: skip
        assert part in text, part


def test_a_pipe_gets_plain_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    display = choose_display(as_json=False)
    assert isinstance(display, Plain)
    display(EVENT)
    assert capsys.readouterr().out == ""  # not yet ten seconds
    monkeypatch.setattr(progress_display, "PLAIN_S", 0)
    display(EVENT)
    for percent in (1, 2, 30, 99):
        display({"event": "index", "percent": percent})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == LINE
    assert lines[1:] == [f"indexing the source: {percent} %" for percent in (1, 30, 99)]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is always full")
def test_a_full_disk_and_names_that_are_no_text_stop_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    display = choose_display(as_json=True, log="/dev/full")
    display({"event": "note", "text": "a\udc80"})
    display.close()
    assert json.loads(capsys.readouterr().out) == {"event": "note", "text": "a\udc80"}


def test_the_index_is_reported_and_kept(tmp_path: Path) -> None:
    source, script = media.plain(tmp_path / "in.mkv"), tmp_path / "resize.vpy"
    script.write_text(media.RESIZE)
    percents = []
    for name in ("a.mkv", "b.mkv"):
        argv = ("encode", source, "-o", tmp_path / name, "--script", script, "--encoder", "ffv1", "--json")
        run = subprocess.run(media.command(*argv), capture_output=True, text=True, check=True)
        events = [json.loads(line) for line in run.stdout.splitlines()]
        percents.append([event["percent"] for event in events if event["event"] == "index"])
    assert percents[0]
    assert all(0 <= percent <= 100 for percent in percents[0])
    assert not percents[1]
