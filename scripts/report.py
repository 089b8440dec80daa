"""Shared by scripts that measure: rows in CSV, tables in docs/ between marks, the machine, frames as arrays, PSNR."""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
#: where the scripts keep what they have measured
FIGURES = ROOT / "docs" / "figures"
#: the widest instructions that decide on speed, by what Linux calls them
INSTRUCTIONS = {"amx_tile": "AMX", "avx512_vnni": "AVX-512 VNNI", "avx512f": "AVX-512", "avx_vnni": "AVX2 VNNI"}
PACKAGES = ("vscugan", "torch", "openvino", "onnxruntime", "ncnn")
#: of each model as people know it, and which of its kind it is where it has no levels
MODEL_NAMES = {
    "": ("Spline36", ""),
    "waifu2x": ("waifu2x", ""),
    "waifu2x-anime": ("waifu2x anime", ""),
    "waifu2x-photo": ("waifu2x photo", ""),
    "realesrgan-anime": ("Real-ESRGAN", "anime"),
    "realesrgan-animevideo": ("Real-ESRGAN", "animevideo"),
    "se": ("Real-CUGAN", ""),
    "pro": ("Real-CUGAN Pro", ""),
    "fast": ("fast", ""),
}

Record = dict[str, Any]  # a line of a CSV by its columns; what is read is text


def read_records(path: Path) -> list[Record]:
    """The lines of a CSV with a head."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_records(path: Path, records: Sequence[Mapping[str, Any]], *, append: bool = False) -> None:
    """Records of the same columns as a CSV with a head, or after those that are there."""
    goes_on = append and path.exists()
    with path.open("a" if goes_on else "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(records[0]), lineterminator="\n")
        if not goes_on:
            writer.writeheader()
        writer.writerows(records)


def describe_machine() -> Record:
    """What the records of one run have in common, its time and commit first."""

    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return ""

    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    cpu = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in info.splitlines())}
    has = cpu["flags"].split()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": commit.stdout.strip(),
        "cpu": cpu["model name"],
        "instructions": next((words for flag, words in INSTRUCTIONS.items() if flag in has), "AVX2"),
        "threads": os.cpu_count(),
        **{name: installed(name) for name in PACKAGES},
    }


def machine_of(record: Record) -> str:
    """Records of different machines never share a table or an axis."""
    return f"{record['cpu']}, {record['instructions']}, {record['threads']} threads"


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
