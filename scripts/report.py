"""Shared by the scripts that measure: tables in docs/, each between two marks; frames as arrays; PSNR."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows (the first is the head) as a table of Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)


def replace_between(text: str, name: str, new: str, where: Path) -> str:
    """A text with ``new`` between ``<!-- name -->`` and its end; ``where`` is the file for the message."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = text.partition(start)
    if not found or end not in rest:
        raise SystemExit(f"{where} must hold the marks {start.strip()} and {end}; put them where the table belongs")
    return before + start + new + "\n" + end + rest.partition(end)[2]


def write_between(report: Path, name: str, text: str) -> None:
    """Print a text, and put it between ``<!-- name -->`` and its end."""
    print(text, flush=True)
    written = replace_between(report.read_text(encoding="utf-8"), name, text, report)
    report.write_text(written, encoding="utf-8")


def write_table(report: Path, name: str, rows: Sequence[Sequence[str]]) -> None:
    """``write_between`` of rows as a table."""
    write_between(report, name, markdown(rows))


def decibels(a: Any, b: Any) -> float:
    """PSNR of pictures in 0..1; 99 stands for anything above."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 99.0 if error < 1e-10 else 10 * float(np.log10(1 / error))


def array_of(frame: Any) -> Any:
    """A VapourSynth frame of three planes as (3, H, W)."""
    return np.stack([np.asarray(frame[p]) for p in range(3)])
