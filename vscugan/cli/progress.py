"""How an encode is shown: live on a terminal, as plain lines when piped, as JSON for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

#: distance of the plain progress lines
PLAIN_S = 10.0
#: leaves room for the words, which wrap on narrow terminals and are never cut off
BAR_COLUMNS = 20
Event = dict[str, Any]


class Show(Protocol):
    """Shows events, and ends."""

    def __call__(self, event: Event) -> None: ...
    def close(self) -> None: ...


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def size(count: int) -> str:
    """Bytes for people."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.2f} GiB"


def counted(count: int, noun: str) -> str:
    """A number of things for people."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _plan(e: Event) -> str:
    inside = " inside ffmpeg" if e["inside_ffmpeg"] else ""
    rate = "variable frame rate kept" if e["vfr"] else f"{e['rate']} fps"
    made = e["made_by"]
    by = f"; {made.get('runtime')} on {made.get('device')}, {made.get('precision')}" if made else ""
    settings = f" ({e['settings']})" if e["settings"] else ""
    return (
        f"{counted(e['frames'], 'frame')} to {e['width']}x{e['height']} {e['format']}, {rate}, "
        f"by {e['encoder']}{inside}{settings} in {counted(e['chunks'], 'chunk')}{by}"
    )


def _found(e: Event) -> str:
    text = f"found {e['chunks']} of {e['of']} chunks finished ({e['frames']} frames); going on from there"
    if e["damaged"]:
        text += f"; chunks {', '.join(map(str, e['damaged']))} are damaged or gone and are made again"
    return text + ("; the journal's last line was torn and is dropped" if e["torn"] else "")


def _done(e: Event) -> str:
    return (
        f"done: {e['output']!r}, {counted(e['frames'], 'frame')}, {size(e['bytes'])} in {clock(e['seconds'])}; "
        f"certificate {e['certificate']!r}"
    )


#: what is said of each event that is told once
LINES: dict[str, Callable[[Event], str]] = {
    "plan": _plan,
    "found": _found,
    "note": lambda e: f"note: {e['text']}",
    "mux": lambda e: "all chunks are finished; writing the file",
    "check": lambda e: "checking the file: frames, timestamps, everything that was copied",
    "done": _done,
    "stopped": lambda e: "stopped; finished chunks are kept",
}


#: what the bar says from an event on, until it is told of frames
BAR_WORDS = {"model": "loading the model", "plan": "computing the first frame", "mux": "writing the file",
             "check": "checking the file"}  # fmt: skip


def progress_line(e: Event) -> str:
    """One line on how far it is."""
    reuse = "" if e["reused"] is None else f", {e['reused']:.0%} reused"
    return (
        f"{e['frames']}/{e['of']} frames ({e['frames'] / e['of']:.1%}), {e['fps']:.2f} fps now, {e['fps_mean']:.2f} "
        f"mean{reuse}, {size(e['bytes'])} so far, {clock(e['eta_s'])} left"
    )


class Plain:
    """One line for each event, and one for the progress every ten seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._percent = -1

    def __call__(self, event: Event) -> None:
        kind = event["event"]
        if kind in LINES:
            print(LINES[kind](event), flush=True)
        elif kind == "progress" and time.monotonic() - self._last >= PLAIN_S:
            self._last = time.monotonic()
            print(progress_line(event), flush=True)
        elif kind == "index" and event["percent"] // 25 > self._percent // 25:
            self._percent = event["percent"]
            print(f"indexing the source: {event['percent']} %", flush=True)

    def close(self) -> None:
        """Nothing is open."""


class Json:
    """Each event as it came, a line each."""

    def __call__(self, event: Event) -> None:
        print(json.dumps(event, ensure_ascii=False), flush=True)

    def close(self) -> None:
        """Nothing is open."""


class Live:
    """A bar on a terminal, with the lines above it."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        told = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=False))
        self._bar = Progress(told, BarColumn(BAR_COLUMNS), transient=True)
        self._task = self._bar.add_task("opening the source", total=100)
        self._bar.start()

    def __call__(self, event: Event) -> None:
        kind = event["event"]
        if kind in LINES:
            self._bar.console.print(LINES[kind](event), markup=False, highlight=False)
        if kind in BAR_WORDS:
            self._bar.update(self._task, description=BAR_WORDS[kind])
        elif kind == "progress":
            self._bar.update(self._task, description=progress_line(event), completed=event["frames"], total=event["of"])
        elif kind == "index":
            self._bar.update(self._task, description="indexing the source", completed=event["percent"], total=100)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def shown(*, as_json: bool) -> Show:
    """What fits where the output goes."""
    if as_json:
        return Json()
    if not sys.stdout.isatty():
        return Plain()
    try:
        return Live()
    except ImportError:
        return Plain()
