"""The sheets and figures of docs/lineage.md: ``lineage.py [sheets] [figures]``; without a name, both.

waifu2x, Real-ESRGAN and Real-CUGAN on the same crops of real art, clean and made worse, through ``core.cugan.Upscale``.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from lineage_figures import Row, figures  # noqa: E402
from lineage_models import System, systems  # noqa: E402
from lineage_pictures import DEGRADATIONS, SUBJECTS, source, truth  # noqa: E402
from lineage_sheet import cell, drawn_sheet  # noqa: E402
from report import write_table  # noqa: E402

DOCS = ROOT / "docs"
SHOWN = ("waifu2x", "realesrgan-anime", "realesrgan-animevideo", "se")
MEASURED = ("waifu2x", "waifu2x-anime", "waifu2x-photo", "realesrgan-anime", "realesrgan-animevideo", "se", "pro")
DRAWN = ("floor texture", "lines of a face", "text", "bokeh")


def draw_sheets() -> None:
    """docs/lineage-NAME.png for each degradation."""
    for degradation in DEGRADATIONS:
        rows = {("original", ""): [cell(truth(s), *SUBJECTS[s].shown) for s in SUBJECTS]}
        for system in (System(), *systems(*SHOWN)):
            pictures = [cell(system.picture(source(s, degradation)), *SUBJECTS[s].shown) for s in SUBJECTS]
            rows[system.label, system.noise or ""] = pictures
        path = DOCS / f"lineage-{degradation}.png"
        drawn_sheet(list(SUBJECTS), rows).save(path, optimize=True)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.2f} MB", flush=True)


def measure() -> None:
    """docs/lineage.csv, and the tables of docs/lineage.md."""
    found: dict[System, list[Row]] = {}
    for system in (System(), *systems(*MEASURED)):
        found[system] = list(figures(system))
        print(f"{system.label} {system.noise or ''}", flush=True)
    with (DOCS / "lineage.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model", "noise", "degradation", "subject", "measure", "value"])
        for system, rows in found.items():
            writer.writerows([system.model, system.noise or "", *row[:3], f"{row[3]:.4f}"] for row in rows)
    for name, table in tables(found).items():
        write_table(DOCS / "lineage.md", name, table)


def mean(rows: list[Row], measure: str, *subjects: str, degradation: str) -> float:
    """Of a measure over subjects; of a PSNR of equal pictures it is infinite."""
    return float(np.mean([r[3] for r in rows if r[0] == degradation and r[1] in subjects and r[2] == measure]))


def tables(found: dict[System, list[Row]]) -> dict[str, list[list[str]]]:
    """The tables of docs/lineage.md by their marks, a row for each system."""
    worse = list(DEGRADATIONS)
    heads = {
        "likeness": [*worse, "very low quality"],
        "edges": [*worse, "text, clean", "text, crf35"],
        "texture": ["detail", "correlation", "detail, crf35", "correlation, crf35", "bokeh, slope", "slope, jpeg30"],
        "noise": ["weak grain", "strong grain", "coarse noise", *(f"{d}: coarse, fine" for d in worse[1:]), "flicker"],
        "own-size": worse,
    }
    made = {name: [["model", "noise", *head]] for name, head in heads.items()}
    for system, rows in found.items():

        def at(measure: str, subject: str, degradation: str = "clean", rows: list[Row] = rows) -> float:
            return mean(rows, measure, subject, degradation=degradation)

        psnr, ssim = (
            [mean(rows, m, *DRAWN, degradation=d) for d in worse] + [at(m, "very low quality")]
            for m in ("PSNR", "SSIM")
        )
        floor, own = "floor texture", [(at("PSNR", "own size", d), at("SSIM", "own size", d)) for d in worse]
        cells = {
            "likeness": [f"{p:.2f}, {s:.3f}" for p, s in zip(psnr, ssim, strict=True)],
            "edges": [f"{at('edge width', 'lines of a face', d):.2f}" for d in worse]
            + [f"{at('edge width', 'text', d):.2f}" for d in worse[:2]],
            "texture": [f"{at(m, floor, d):.2f}" for d in worse[:2] for m in ("detail", "detail correlation")]
            + [f"{at('steepness', 'bokeh', d):.2f}" for d in ("clean", "jpeg30")],
            "noise": [f"{at('kept', n):.0%}" for n in ("weak grain", "strong grain", "coarse noise")]
            + [
                f"{at('coarse noise left', 'lines of a face', d):.2f}, {at('fine noise left', 'lines of a face', d):.2f}"
                for d in worse[1:]
            ]
            + [f"{mean(rows, 'flicker', 'frames 24-59', degradation='clip'):.3f}"],
            "own-size": [f"{p:.2f}, {s:.3f}" for p, s in own],
        }
        for name, row in cells.items():
            made[name].append([system.label, system.noise or "", *row])
    return made


PARTS = {"sheets": draw_sheets, "figures": measure}


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()
