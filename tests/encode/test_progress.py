"""What is shown of a run: on a terminal, in a pipe, and to programs."""

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

from vscugan.cli import progress

EVENT = {"event": "progress", "frames": 12345, "of": 34567, "fps": 0.5, "fps_mean": 0.52, "eta_s": 123456,
         "bytes": 123456789, "reused": 0.312}  # fmt: skip
LINE = "12345/34567 frames (35.7%), 0.50 fps now, 0.52 mean, 31% reused, 117.7 MiB so far, 34:17:36 left"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(command: list[str], columns: int) -> tuple[int, str]:
    """Run a command on a terminal; returns its exit code and all that was shown, without colours and the bar."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, env=environment | {"TERM": "xterm"}
    )
    os.close(follower)
    shown = b""
    try:
        while piece := os.read(leader, 65536):
            shown += piece
    except OSError:  # Linux's way to say that nobody writes any more
        pass
    os.close(leader)
    return process.wait(), re.sub(r"[━╸╺]", " ", _CONTROL.sub("", shown.decode()))


@pytest.mark.parametrize("columns", [60, 80, 130])
def test_a_terminal_shows_every_figure(columns: int) -> None:
    program = (
        "from vscugan.cli.progress import shown, Live\nshow = shown(as_json=False)\nassert isinstance(show, Live)\n"
        f"show({{'event': 'model'}})\nshow._bar.refresh()\nshow({EVENT!r})\n"
        "show({'event': 'note', 'text': 'a [bold] name'})\nshow.close()\n"
    )
    code, text = on_terminal([*media.command()[:2], "-c", program], columns)
    assert code == 0, text
    assert LINE in " ".join(text.split())
    assert "loading the model" in text
    assert "note: a [bold] name" in text


def test_an_encode_on_a_terminal(tmp_path: Path) -> None:
    source, script = media.plain(tmp_path / "in.mkv"), tmp_path / "resize.vpy"
    script.write_text(media.RESIZE)
    words = ("encode", source, "-o", tmp_path / "out.mkv", "--script", script, "--encoder", "ffv1")
    code, text = on_terminal(list(media.command(*words)), 80)
    assert code == 0, text
    shown = " ".join(text.split())
    for part in ("30 frames to 128x96 YUV420P8, 24 fps, by ffv1", "(-level 3 -g 1 -slicecrc 1) in 1 chunk",
                 "30/30 frames (100.0%)", "fps now", "0:00:00 left",
                 "checking the file", "done: 'out.mkv', 30 frames"):  # fmt: skip
        assert part in shown, part


def test_a_pipe_gets_plain_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    show = progress.shown(as_json=False)
    assert isinstance(show, progress.Plain)
    show(EVENT)
    assert capsys.readouterr().out == ""  # not yet ten seconds
    monkeypatch.setattr(progress, "PLAIN_S", 0)
    show(EVENT)
    for percent in (1, 2, 30, 99):
        show({"event": "index", "percent": percent})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == LINE
    assert lines[1:] == [f"indexing the source: {percent} %" for percent in (1, 30, 99)]


def test_the_index_is_told_and_kept(tmp_path: Path) -> None:
    source, script = media.plain(tmp_path / "in.mkv"), tmp_path / "resize.vpy"
    script.write_text(media.RESIZE)
    told = []
    for name in ("a.mkv", "b.mkv"):
        words = ("encode", source, "-o", tmp_path / name, "--script", script, "--encoder", "ffv1", "--json")
        run = subprocess.run(media.command(*words), capture_output=True, text=True, check=True)
        events = [json.loads(line) for line in run.stdout.splitlines()]
        told.append([event["percent"] for event in events if event["event"] == "index"])
    assert told[0]
    assert all(0 <= percent <= 100 for percent in told[0])
    assert not told[1]
