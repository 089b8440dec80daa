"""The sheets and figures of docs/figures/lineage.md.

``lineage.py [models] [sheets] [figures] [tables] [speed]``, or all: waifu2x, Real-ESRGAN, Real-CUGAN and ``fast`` on
the same crops of real art, clean and made worse, through ``core.cugan.Upscale``.
``figures`` writes docs/figures/lineage.csv; with ``--only MODEL ...`` the lines of other models stay. ``tables`` makes
the page's tables of it. ``speed`` writes what a frame takes each model into docs/figures/models.csv: some minutes,
while the machine must have nothing else to do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import vapoursynth as vs

from vscugan.architectures import ARCHITECTURES
from vscugan.cli.turns import make_ready, moving_clip, seconds_a_frame
from vscugan.models.registry import models, rows

sys.path.append(str(Path(__file__).resolve().parent))
from lineage_figures import NOISES, OWN_SIZE, Row, figures
from lineage_models import System, systems
from lineage_pictures import DEGRADATIONS, SUBJECTS, source, truth
from lineage_sheet import cell, drawn_sheet
from report import FIGURES, ROOT, describe_machine, read_records, write_records, write_table

RECORDS = FIGURES / "lineage.csv"
SPEEDS = FIGURES / "models.csv"
SHOWN = ("waifu2x", "realesrgan-anime", "realesrgan-animevideo", "se")
MEASURED = ("waifu2x", "waifu2x-anime", "waifu2x-photo", *SHOWN[1:], "pro", "fast")
TABLED = ("", *SHOWN, "pro")
FACE, FLOOR, TEXT, VERY_LOW, BOKEH = "lines of a face", "floor texture", "text", "very low quality", "bokeh"
WORSE = [name for name in DEGRADATIONS if name != "clean"]
WIDTH, HEIGHT, TURNS = 640, 360, 5  #: of the clip that models are timed with, a frame of each in a turn
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
        path = FIGURES / f"lineage-{degradation}.png"
        drawn_sheet(list(SUBJECTS), rows).save(path, optimize=True)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.2f} MB", flush=True)


def read_figures() -> dict[System, list[Row]]:
    """What docs/figures/lineage.csv has of each system."""
    found: dict[System, list[Row]] = {}
    for r in read_records(RECORDS):
        row = (r["degradation"], r["subject"], r["measure"], float(r["value"]))
        found.setdefault(System(model=r["model"], noise=r["noise"] or None), []).append(row)
    return found


def measure(only: Sequence[str]) -> None:
    """docs/figures/lineage.csv, and the tables of docs/figures/lineage.md; the lines of other models are kept."""
    records = [record for record in read_records(RECORDS) if record["model"] not in only]
    for system in (System(), *systems(*MEASURED)):
        if system.model in only:
            named = {"model": system.model, "noise": system.noise or ""}
            for degradation, subject, name, value in figures(system):
                row = {"degradation": degradation, "subject": subject, "measure": name, "value": f"{value:.6f}"}
                records.append(named | row)
            print(*system.label, flush=True)
    write_records(RECORDS, sorted(records, key=lambda record: ("", *MEASURED).index(record["model"])))
    write_tables()


def write_tables() -> None:
    """The tables of docs/figures/lineage.md, of docs/figures/lineage.csv."""
    for name, table in tables(read_figures()).items():
        write_table(FIGURES / "lineage.md", name, table)


def time_models() -> None:
    """docs/figures/models.csv: what a frame of 2x takes each model in fp32, in turns, A B A B."""
    clip = moving_clip(WIDTH, HEIGHT, frames=TURNS, format=vs.YUV420P8)
    ready = {m: make_ready(clip, model=m, scale=2, precision="fp32", device="cpu", reuse="off") for m in MEASURED}
    machine, records = describe_machine(), []
    for model, times in seconds_a_frame(ready, turns=TURNS, frames=1, warm=True).items():
        case = {"runtime": ready[model].report["runtime"], "precision": "fp32", "size": f"{WIDTH}x{HEIGHT}", "scale": 2}
        records.append(machine | case | {"model": model, "seconds": f"{median(times):.4f}"})
        print(model, records[-1]["seconds"], flush=True)
    write_records(SPEEDS, records)


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
    write_table(FIGURES / "lineage.md", "models", table)


PARTS = ("models", "sheets", "figures", "tables", "speed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all where none is named")
    parser.add_argument("--only", nargs="+", choices=("", *MEASURED), default=("", *MEASURED), metavar="MODEL")
    arguments = parser.parse_args()
    for name in arguments.parts:
        if name not in PARTS:
            parser.error(f"PART must be one of {', '.join(PARTS)}, got {name}; leave it out for all")
    jobs = {"models": list_models, "sheets": draw_sheets, "tables": write_tables, "speed": time_models}
    for name in arguments.parts or PARTS:
        if name == "figures":
            measure(arguments.only)
        else:
            jobs[name]()


if __name__ == "__main__":
    main()
