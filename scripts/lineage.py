"""The sheets and figures of docs/figures/lineage.md: ``lineage.py [models] [sheets] [figures]``, or all.

waifu2x, Real-ESRGAN and Real-CUGAN on the same crops of real art, clean and made worse, through ``core.cugan.Upscale``.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from vscugan.architectures import ARCHITECTURES
from vscugan.models.registry import models, rows

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from lineage_figures import NOISES, OWN_SIZE, Row, figures  # noqa: E402
from lineage_models import System, systems  # noqa: E402
from lineage_pictures import DEGRADATIONS, SUBJECTS, source, truth  # noqa: E402
from lineage_sheet import cell, drawn_sheet  # noqa: E402
from report import write_table  # noqa: E402

DOCS = ROOT / "docs" / "figures"
SHOWN = ("waifu2x", "realesrgan-anime", "realesrgan-animevideo", "se")
MEASURED = ("waifu2x", "waifu2x-anime", "waifu2x-photo", "realesrgan-anime", "realesrgan-animevideo", "se", "pro")
TABLED = ("", *SHOWN, "pro")
FACE, FLOOR, TEXT, VERY_LOW, BOKEH = "lines of a face", "floor texture", "text", "very low quality", "bokeh"
WORSE = [name for name in DEGRADATIONS if name != "clean"]
Values = Mapping[tuple[str, str, str], float]  # by degradation, subject and measure
Column = Callable[[Values], str]


def mean(degradation: str, subjects: Sequence[str], *measures: str, form: str = ".2f") -> Column:
    """A column of means over subjects, one for each measure."""
    return lambda values: ", ".join(
        format(np.mean([values[degradation, subject, measure] for subject in subjects]), form) for measure in measures
    )


def likeness(degradation: str, *subjects: str) -> Column:
    """PSNR and SSIM; nothing where the level does not exist."""
    psnr, ssim = (mean(degradation, subjects, m, form=f) for m, f in (("PSNR", ".2f"), ("SSIM", ".3f")))
    return lambda values: f"{psnr(values)}, {ssim(values)}" if (degradation, subjects[0], "PSNR") in values else ""


#: of each table of docs/figures/lineage.md
COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "likeness": {d: likeness(d, FLOOR, FACE, TEXT, BOKEH) for d in DEGRADATIONS}
    | {VERY_LOW: likeness("clean", VERY_LOW)},
    "edges": {f"edges, {d}": mean(d, [FACE], "edge width") for d in DEGRADATIONS}
    | {f"text, {d}": mean(d, [TEXT], "PSNR of lines") for d in DEGRADATIONS},
    "texture": {f"floor, {d}": mean(d, [FLOOR], "detail", "detail correlation") for d in DEGRADATIONS}
    | {f"bokeh, {d}": mean(d, [BOKEH], "steepness") for d in ("clean", "jpeg30")},
    "noise": {name: mean("clean", [name], "kept", form=".0%") for name in NOISES}
    | {d: mean(d, [FACE], "coarse noise left", "fine noise left") for d in WORSE}
    | {f"flicker, {d}": mean(d, ["clip"], "flicker", form=".3f") for d in ("crf23", "crf35")},
    "own-size": {d: likeness(d, OWN_SIZE) for d in DEGRADATIONS},
}


def draw_sheets() -> None:
    """docs/figures/lineage-NAME.png for each degradation."""
    for degradation in DEGRADATIONS:
        rows = {("original", ""): [cell(truth(s), *SUBJECTS[s].shown) for s in SUBJECTS]}
        for system in (System(), *systems(*SHOWN)):
            results = system.pictures([source(s, degradation) for s in SUBJECTS])
            pictures = [cell(y, *SUBJECTS[s].shown) for s, y in zip(SUBJECTS, results, strict=True)]
            rows[system.label] = pictures
        path = DOCS / f"lineage-{degradation}.png"
        drawn_sheet(list(SUBJECTS), rows).save(path, optimize=True)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.2f} MB", flush=True)


def measure() -> None:
    """docs/figures/lineage.csv, and the tables of docs/figures/lineage.md."""
    found: dict[System, list[Row]] = {}
    for system in (System(), *systems(*MEASURED)):
        found[system] = list(figures(system))
        print(*system.label, flush=True)
    with (DOCS / "lineage.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model", "noise", "degradation", "subject", "measure", "value"])
        for system, rows in found.items():
            writer.writerows([system.model, system.noise or "", *row[:3], f"{row[3]:.4f}"] for row in rows)
    for name, table in tables(found).items():
        write_table(DOCS / "lineage.md", name, table)


def tables(found: Mapping[System, Sequence[Row]]) -> dict[str, list[list[str]]]:
    """The tables of docs/figures/lineage.md by their marks, a row for each system; upconv 7 is in lineage.csv only."""
    heads = {name: ["model", "noise", *columns] for name, columns in COLUMNS.items()}
    made = {name: [head] for name, head in heads.items()}
    for system, measured in found.items():
        if system.model in TABLED:
            values = {row[:3]: row[3] for row in measured}
            for name, columns in COLUMNS.items():
                made[name].append([*system.label, *(text(values) for text in columns.values())])
    levels = [other.noise for other in systems("se")]
    made["levels"] = [["waifu2x", *(f"Real-CUGAN {noise}" for noise in levels)]]
    for system in systems("waifu2x"):
        near = {row[2]: row[3] for row in found[system]}
        made["levels"].append([str(system.noise), *(f"{near[f'PSNR to se {noise}']:.1f}" for noise in levels)])
    return made


def list_models() -> None:
    """The table of the models: what each is, costs, and where it comes from; nothing is computed."""
    table = [["`model`", "network", "`scale`: thousand multiply-adds for a px of the source", "licence", "comes with"]]
    for model in models():
        own = [row for row in rows() if row.model == model]
        networks = {row.scale: ARCHITECTURES[row.architecture] for row in own}
        costs = [f"{scale}: {float(sum(a.shapes.multiply_adds)) / 1e3:,.0f}" for scale, a in sorted(networks.items())]
        comes_with = f"the extra `{own[0].extra}`" if own[0].extra else "vscugan"
        table.append([f"`{model}`", networks[own[0].scale].family, "; ".join(costs), own[0].licence, comes_with])
    write_table(DOCS / "lineage.md", "models", table)


PARTS = {"models": list_models, "sheets": draw_sheets, "figures": measure}


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()
