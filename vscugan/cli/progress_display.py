"""How the events of an encode are displayed: live on a terminal, as plain lines when piped, as JSON for programs."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from vscugan.errors import CuganError, DiskError

#: seconds between two plain progress lines
PLAIN_S = 10.0
#: leaves room for the text, which wraps on narrow terminals and is never cut off
BAR_COLUMNS = 20
#: so many nodes of a cluster are named one by one
NAMED_NODES = 6
Event = dict[str, Any]


class Display(Protocol):
    """Displays events, until it is closed."""

    def __call__(self, event: Event) -> None: ...
    def close(self) -> None: ...


def format_duration(seconds: float) -> str:
    """A duration as H:MM:SS."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def format_size(count: float) -> str:
    """A number of bytes with its unit."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.2f} GiB"


def format_count(count: int, noun: str) -> str:
    """A number and its noun, in the plural where it must be."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _plan_line(e: Event) -> str:
    inside = " inside ffmpeg" if e["inside_ffmpeg"] else ""
    rate = "variable frame rate kept" if e["vfr"] else f"{e['rate']} fps"
    report = e["made_by"]
    by = f"; {report.get('runtime')} on {report.get('device')}, {report.get('precision')}" if report else ""
    settings = f" ({e['settings']})" if e["settings"] else ""
    return (
        f"{format_count(e['frames'], 'frame')} to {e['width']}x{e['height']} {e['format']}, {rate}, "
        f"by {e['encoder']}{inside}{settings} in {format_count(e['chunks'], 'chunk')}{by}"
    )


def _resume_line(e: Event) -> str:
    text = f"found {e['chunks']} of {e['of']} chunks finished ({e['frames']} frames); going on from there"
    if e["damaged"]:
        text += f"; chunks {', '.join(map(str, e['damaged']))} are damaged or gone and are made again"
    return text + ("; the journal's last line was torn and is dropped" if e["torn"] else "")


def _done_line(e: Event) -> str:
    return (
        f"done: {e['output']!r}, {format_count(e['frames'], 'frame')}, {format_size(e['bytes'])} in "
        f"{format_duration(e['seconds'])}; certificate {e['certificate']!r}"
    )


def _estimate_line(e: Event) -> str:
    duration, size = (
        f"{text(e[name])} ({text(e[f'{name}_low'])} to {text(e[f'{name}_high'])})"
        for name, text in (("seconds", format_duration), ("bytes", format_size))
    )
    return f"estimate: {duration}, video of {size}"


def _file_line(e: Event) -> str:
    """What became of a file of several; of those made now ``done`` has said it."""
    if e["code"]:
        return f"failed: {e['message']}"
    return "is there already, of the same source and options" if e["state"] == "there" else ""


def _summary_lines(e: Event) -> str:
    """A table of all files, and how many of them are what."""
    names = {"done": "done", "there": "there already", "failed": "failed", "estimated": "estimated",
             "missing": "not finished"}  # fmt: skip
    lines = []
    for file in e["files"]:
        facts = f"{format_count(file['frames'], 'frame')}, {format_size(file['bytes'])} in " if file["frames"] else ""
        facts += format_duration(file["seconds"]) if file["frames"] else file["message"]
        lines.append(f"{names[file['state']]:<13}  {os.path.basename(file['output'])!r}  {facts}".rstrip())
    counts = Counter(file["state"] for file in e["files"])
    total = ", ".join(f"{counts[state]} {name}" for state, name in names.items() if counts[state])
    return "\n".join([*lines, f"{format_count(len(e['files']), 'file')}: {total}"])


def _line(e: Event) -> str:
    """The line of an event that comes once, after the name of its file where there are several; empty for none."""
    make = LINES.get(e["event"])
    text = make(e) if make else ""
    return f"{_of_file(e)}{text}" if text else ""


def _of_file(e: Event) -> str:
    return f"[{e['file']}/{e['files']}] {os.path.basename(e['source'])!r}: " if "file" in e else ""


#: the line of each event that comes once
LINES: dict[str, Callable[[Event], str]] = {
    "plan": _plan_line,
    "found": _resume_line,
    "note": lambda e: f"note: {e['text']}",
    "mux": lambda e: "all chunks are finished; writing the file",
    "check": lambda e: "checking the file: frames, timestamps, everything that was copied",
    "done": _done_line,
    "kept": lambda e: f"kept: {', '.join(e['tracks']) or 'nothing beside the video'}",
    "estimate": _estimate_line,
    "file": _file_line,
    "summary": _summary_lines,
}


#: the bar's text from an event on, until frames are computed
BAR_TEXTS = {"model": "loading the model", "plan": "computing the first frame", "mux": "writing the file",
             "check": "checking the file"}  # fmt: skip


def _cluster_text(cluster: dict[str, Any] | None) -> str:
    """What the nodes of a cluster do; each by its name where they are few."""
    if not cluster:
        return ""
    speeds = [f"{node} {fps:.2f} fps" for node, fps in cluster["nodes"].items()]
    names = f": {', '.join(speeds)}" if len(speeds) <= NAMED_NODES else ""
    return f", {format_count(cluster['chunks'], 'chunk')} in flight on {format_count(len(speeds), 'node')}{names}"


def progress_line(e: Event) -> str:
    """One line on how far the encode is."""
    reuse = "" if e["reused"] is None else f", {e['reused']:.0%} reused"
    return (
        f"{e['frames']}/{e['of']} frames ({e['frames'] / e['of']:.1%}), {e['fps']:.2f} fps now, {e['fps_mean']:.2f} "
        f"mean{reuse}, {format_size(e['bytes'])} so far, {format_duration(e['eta_s'])} left"
        f"{_cluster_text(e.get('cluster'))}"
    )


def print_line(line: str) -> None:
    print(line, end="", flush=True)


class Plain:
    """One line for each event, and one for the progress every ten seconds; ``stamp`` stands before each."""

    def __init__(self, write: Callable[[str], object] = print_line, stamp: Callable[[], str] = str) -> None:
        self._write, self._stamp = write, stamp
        self._last = time.monotonic()
        self._percent = -1

    def __call__(self, event: Event) -> None:
        kind, line = event["event"], _line(event)
        if kind == "progress" and time.monotonic() - self._last >= PLAIN_S:
            self._last = time.monotonic()
            line = f"{_of_file(event)}{progress_line(event)}"
        elif kind == "index" and event["percent"] // 25 != self._percent // 25:
            self._percent = event["percent"]
            line = f"{_of_file(event)}indexing the source: {event['percent']} %"
        if line:
            self._write(f"{self._stamp()}{line}\n")

    def close(self) -> None:
        """Do nothing: nothing is open."""


class Logged:
    """A display whose lines are added to a file, too, with errors and times.

    Raises: DiskError.
    """

    def __init__(self, display: Display, path: str) -> None:
        self._display = display
        try:
            self._file = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        except OSError as error:
            raise DiskError(
                f"log must be writable, got {error.strerror or error}: {Path(path).name!r}; name a file in a folder "
                "that you may write to"
            ) from error
        self._log = Plain(self._append, lambda: time.strftime("%Y-%m-%d %H:%M:%S "))

    def _append(self, line: str) -> None:
        with suppress(OSError, ValueError):  # a full disk, or closed after an interruption
            self._file.write(line)
            self._file.flush()

    def __call__(self, event: Event) -> None:
        self._display(event)
        if event["event"] in ("error", "interrupted"):
            event = event | {"event": "note", "text": event.get("message", "interrupted")}
        self._log(event)

    def log_error(self, error: Exception) -> None:
        """Add an error that ends the command; the command itself prints it."""
        text = str(error) if isinstance(error, CuganError) else f"{type(error).__name__}: {error}"
        self._log({"event": "note", "text": text})

    def close(self) -> None:
        """Close both."""
        self._display.close()
        with suppress(OSError):  # a full disk
            self._file.close()


class Json:
    """Each event as one line of JSON."""

    def __call__(self, event: Event) -> None:
        print(json.dumps(event), flush=True)  # in ASCII, since names of files may be no text

    def close(self) -> None:
        """Do nothing: nothing is open."""


class Live:
    """A bar on a terminal for each file in work, with the lines above them."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=False))
        # drawn at each event, which are few: a clock would miss what lasts less than its tick
        self._bars = Progress(text, BarColumn(BAR_COLUMNS), transient=True, auto_refresh=False)
        self._tasks: dict[int, Any] = {}
        self._bars.start()

    def __call__(self, event: Event) -> None:
        kind, file, name = event["event"], event.get("file", 0), _of_file(event)
        if line := _line(event):
            self._bars.console.print(line, markup=False, highlight=False)
        if kind in ("file", "summary"):
            if file in self._tasks:
                self._bars.remove_task(self._tasks.pop(file))
                self._bars.refresh()
            return
        if file not in self._tasks:
            self._tasks[file] = self._bars.add_task(f"{name}opening the source", total=100)
        task = self._tasks[file]
        if kind in BAR_TEXTS:
            self._bars.update(task, description=f"{name}{BAR_TEXTS[kind]}")
        elif kind == "progress":
            text = f"{name}{progress_line(event)}"
            self._bars.update(task, description=text, completed=event["frames"], total=event["of"])
        elif kind == "index":
            self._bars.update(task, description=f"{name}indexing the source", completed=event["percent"], total=100)
        self._bars.refresh()

    def close(self) -> None:
        """Remove the bars."""
        self._bars.stop()


def choose_display(*, as_json: bool, log: str | None = None) -> Display:
    """The display that fits where stdout goes; ``log``: a file that gets its lines, too.

    Raises: DiskError.
    """
    display = _choose(as_json)
    return Logged(display, log) if log else display


def _choose(as_json: bool) -> Display:
    if as_json:
        return Json()
    if not sys.stdout.isatty():
        return Plain()
    try:
        return Live()
    except ImportError:
        return Plain()
