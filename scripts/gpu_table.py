"""The tables of docs/guide/gpu.md of what ran on which GPU, from the files that gpu_check has written.

``gpu_table.py FILE ...`` prints them; ``--write`` puts them into the page, and takes those of GPUs only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "guide" / "gpu.md"
sys.path.append(str(ROOT / "scripts"))
from report import markdown, write_between  # noqa: E402

Report = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]


def rows_of(report: Report, section: str, **wanted: Any) -> list[Mapping[str, Any]]:
    """The rows of a section with something that was checked, those with these values only."""
    rows = report["sections"].get(section, {"rows": []})["rows"]
    return [row for row in rows if "absent" not in row and all(row.get(key) == wanted[key] for key in wanted)]


def absent(report: Report, section: str) -> dict[str, str]:
    """What was not checked, and why."""
    rows = report["sections"].get(section, {"rows": []})["rows"]
    return {row["case"]: row["absent"] for row in rows if "absent" in row}


def counted(rows: Rows) -> str:
    """How many are right, and the names of those that are not."""
    wrong = [row["case"] for row in rows if not row["ok"]]
    return f"{len(rows) - len(wrong)} of {len(rows)}" + (f", not {'; '.join(wrong)}" if wrong else "")


def worst(rows: Rows, key: str) -> float | None:
    """The largest error, or the least dB."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return (min if key == "dB" else max)(values, default=None)


def checks(report: Report) -> list[list[str]]:
    """A line for each kind of check: how many were right, and the worst figure."""
    lines = [["check", "right", "worst"]]
    for precision, key in (("fp32", "largest_error"), ("fp16", "dB")):
        if rows := rows_of(report, "golden", precision=precision):
            lines.append([f"models, {precision}, to fp32 on the CPU", counted(rows), figure(key, worst(rows, key))])
    if rows := rows_of(report, "tiles"):
        error = figure("largest_error", worst(rows, "largest_error"))
        lines.append(["tiles to the whole frame, fp32", counted(rows), error])
    limits = [row for row in rows_of(report, "memory") if row["case"].startswith("memory=")]
    if limits:
        peaks = ", ".join(
            f"{row['case']}: {row['peak_MiB']} ({row['reserved_MiB']}) MiB" for row in limits if row.get("peak_MiB")
        )
        what = "`memory` is kept to by torch's tensors (all that torch holds, with CUDA graphs and what it keeps)"
        lines.append([what, counted(limits), peaks])
    if rows := [row for row in rows_of(report, "memory") if row not in limits]:
        lines.append(["recovery from out of memory", counted(rows), figure("dB", worst(rows, "dB"))])
    if rows := [row for row in rows_of(report, "adapters") if "dB" in row or not row["ok"]]:
        lines.append(["GPUs by Vulkan or WebGPU", counted(rows), figure("dB", worst(rows, "dB"))])
    if rows := rows_of(report, "streams"):
        frames = sum(row.get("frames", 0) for row in rows)
        graphs = sum(row.get("graphs", 0) for row in rows)
        what = "the same bits in any order, four threads, four nodes"
        lines.append([what, counted(rows), f"{frames} frames, {graphs} CUDA graphs"])
    if rows := rows_of(report, "tests"):
        lines.append(
            ["tests of CUDA", counted(rows), ", ".join(text for row in rows for text in row.get("summary", []))]
        )
    for name, section in report["sections"].items():
        if section.get("error"):
            lines.append([f"section {name}", "no", section["error"]])
        if missed := list(absent(report, name).values()).count("no time"):
            lines.append([f"section {name}", "not all", f"no time for {missed}"])
    return lines


def figure(key: str, value: float | None) -> str:
    """An error or dB in words."""
    if value is None:
        return ""
    return f"{value:.1f} dB" if key == "dB" else f"{value:.1e}"


def speeds(report: Report) -> list[list[str]]:
    """A line for each contestant of a case with the number of streams at which it was fastest."""
    lines = [["in, scale, model", "what", "fps", "of the bare network", "streams", "peak, MiB"]]
    best: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows_of(report, "speed", ok=True):
        if "fps" in row:
            key = f"{row['size']}, {row['scale']}x, {row['model']}, {row['precision']}", row["contestant"]
            best[key] = max(best.get(key, row), row, key=lambda each: float(each["fps"]))
    for (case, contestant), row in best.items():
        ratio = "" if row["of_limit"] is None else f"{row['of_limit']:.2f}"
        peak = "" if row["peak_MiB"] is None else f"{row['peak_MiB']:.0f}"
        lines.append([case, contestant, f"{row['fps']:.1f}", ratio, str(row["streams"]), peak])
    return lines


def described(report: Report) -> str:
    """The machine in a line, then its tables."""
    known = {row["case"]: row for row in rows_of(report, "facts")}
    device, packages, machine = (known.get(case, {}) for case in ("device", "packages", "machine"))
    parts = [
        device.get("name", report["device"]),
        f"driver {device['nvidia_smi'].split(', ')[1]}" if ", " in device.get("nvidia_smi", "") else "",
        f"torch {packages['torch']}" if "torch" in packages else "",
        f"{machine['threads']} threads of {machine['cpu']}" if "threads" in machine else "",
        f"commit {report['commit']}" if "commit" in report else "",
        report["date"],
    ]
    missing = ", ".join(absent(report, "speed"))
    note = f"\n\nNot installed there: {missing}." if missing else ""
    heading = ", ".join(filter(None, parts))
    return f"**{heading}**\n\n{markdown(checks(report))}\n\n{markdown(speeds(report))}{note}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="into the page")
    arguments = parser.parse_args()
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in arguments.files]
    text = "\n\n".join(map(described, reports))
    if not arguments.write:
        print(text)
        return
    for path, report in zip(arguments.files, reports, strict=True):
        if report["device"] == "cpu" or report["small"]:
            parser.error(f"{path} must come from a GPU and from frames of full size, got a rehearsal; run gpu_check")
    write_between(PAGE, "gpu", text)


if __name__ == "__main__":
    main()
