"""The documentation's plots of what scripts have measured: ``plots.py [speed] [models] [flicker] [reuse]``, or all.

Reads speed.csv (benchmark.py), lineage.csv and models.csv (lineage.py) and reuse.csv (reuse_report.py) in docs/figures,
and writes SVG files beside them. Equal rows give equal files. It needs ``pip install ".[benchmark]"``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
from matplotlib import pyplot
from matplotlib.text import Annotation
from matplotlib.ticker import FixedLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from vscugan.models.registry import default_noise

sys.path.append(str(Path(__file__).resolve().parent))
from report import FIGURES, MODEL_NAMES, Record, machine_of, read_records

matplotlib.use("svg")
#: text stays text, and a run gives the same bytes as the one before
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "vscugan",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],  # the first is measured with, and is matplotlib's own
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "xtick.color": "#444444",
    "ytick.color": "#222222",
    "ytick.major.size": 0,
    "figure.facecolor": "white",  # a card, so that it can be read on dark pages, too
}
WIDTH_IN = 800 / 96
FOLDER = FIGURES
BLUE, SKY, ORANGE, BROWN, GREEN = "#0072b2", "#45a5dc", "#d98c00", "#8a5a00", "#009e73"
PURPLE, RED, GREY = "#8b5fa8", "#d1400a", "#9a9a9a"

#: what is drawn of speed.csv, ours before others; the rest stays in the table
OURS = {
    "openvino, int8": "OpenVINO, int8",
    "openvino, bf16": "OpenVINO, bf16",
    "openvino": "OpenVINO",
    "ncnn": "ncnn",
    "onnxruntime": "ONNX Runtime",
    "torch": "torch",
}
OTHERS = {
    "raw ncnn": "ncnn by itself",
    "mlrt-ov": "vs-mlrt, OpenVINO, bf16",
    "mlrt-ov, f32": "vs-mlrt, OpenVINO",
    "mlrt-ort": "vs-mlrt, ONNX Runtime",
    "plain torch": "official network, torch",
}
#: of each model its colour, where its name stands beside its point, and by how many pt both are moved aside, as models
#: of one speed would cover each other
MODELS = {
    "waifu2x": (BLUE, "left", -7),
    "se": (GREEN, "left", 0),
    "pro": (PURPLE, "right", 7),
    "realesrgan-animevideo": (ORANGE, "right", 0),
    "waifu2x-anime": (SKY, "right", 0),
    "waifu2x-photo": (SKY, "right", 7),
    "realesrgan-anime": (BROWN, "above", 0),
    "fast": (RED, "beside", 0),
}
PICTURES = ("floor texture", "lines of a face", "text", "bokeh")
#: clips of reuse.csv, in words of what moves in them
SCENES = {
    "talking head, x264 crf 18": "a talking head: mouth and eyes move",
    "Sylvie lossy, frames 0-59": "a visual novel's dialogue",
    "Sylvie lossy, all 144 frames": "dialogue with crossfades",
    "Sylvie lossless, all 144 frames": "the same, lossless, reuse=exact",
    "everything pans": "a camera pan: everything moves",
}


def short(machine: str) -> str:
    return machine.replace("(R)", "").replace(" Processor", "")


def save(figure: Any, name: str, title: str) -> None:
    """An SVG file of that name in docs/figures."""
    path = FOLDER / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None, "Creator": None, "Title": title})
    pyplot.close(figure)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB", flush=True)


def bars(axis: Any, names: Sequence[str], values: Sequence[float | None], words: Sequence[str], **style: Any) -> None:
    """Bars from the top down with words beside them; None leaves a gap."""
    places, largest = range(len(names)), style.pop("largest", max(value or 0 for value in values))
    axis.barh(places, [value or 0 for value in values], height=0.7, **style)
    axis.set_yticks(places, names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlim(0, 1.25 * largest)
    axis.set_xticks([])
    axis.spines["bottom"].set_visible(False)
    for place, value, text in zip(places, values, words, strict=True):
        if value is not None:
            axis.text(value + 0.025 * largest, place, text, va="center")


def of_one_day(records: Sequence[Record]) -> dict[str, float]:
    """Frames a second by contestant, of the day when most of them were measured: a machine is faster on some days."""
    days: dict[str, dict[str, float]] = {}
    for r in records:
        if r["contestant"] in OURS | OTHERS:
            days.setdefault(r["date"][:10], {})[r["contestant"]] = float(r["fps"])
    return max((len(found), day, found) for day, found in days.items())[2]


def speed() -> None:
    """Frames a second by runtime and size."""
    for scale in (2, 4):
        draw_speed(scale)


def draw_speed(scale: int) -> None:
    """A row of panels for each CPU, a panel for each size."""
    machines: dict[str, dict[str, list[Record]]] = {}
    for r in read_records(FIGURES / "speed.csv"):
        if r["scale"] == str(scale):
            machines.setdefault(machine_of(r), {}).setdefault(r["size"], []).append(r)
    fps = {machine: {size: of_one_day(rows) for size, rows in sizes.items()} for machine, sizes in machines.items()}
    names = {m: [n for n in OURS | OTHERS if any(n in found for found in sizes.values())] for m, sizes in fps.items()}
    names = dict(sorted(names.items(), key=lambda named: -len(named[1])))
    heights = [len(shown) + 2.6 for shown in names.values()]
    figure = pyplot.figure(figsize=(WIDTH_IN, 0.2 * sum(heights) + 0.4), layout="constrained")
    title: Any = figure.suptitle(f"Frames per second at {scale}x", x=0.01, ha="left", weight="bold", fontsize=11)
    for right_pt, colour, word in ((20, BLUE, "vscugan"), (84, GREY, "others")):
        place = {"xycoords": title, "xytext": (right_pt, 0), "textcoords": "offset points", "in_layout": False}
        figure.add_artist(Annotation(word, (1, 0), color=colour, va="bottom", weight="bold", fontsize=11, **place))
    columns = max(map(len, fps.values()))
    parts = figure.subfigures(len(fps), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (machine, shown) in zip(parts, names.items(), strict=True):
        part.suptitle(short(machine), x=0.01, ha="left")
        sizes = sorted(fps[machine], key=lambda size: int(size.split("x")[0]))
        axes = part.subplots(1, columns, sharey=True, squeeze=False)[0]
        for axis, size in zip(axes, sizes, strict=False):
            values = [fps[machine][size].get(name) for name in shown]
            words = [f"{value or 0:.{1 if (value or 0) > 10 else 2}f}" for value in values]
            labels = [(OURS | OTHERS)[name] for name in shown]
            bars(axis, labels, values, words, color=[BLUE if name in OURS else GREY for name in shown])
            axis.set_title(f"from {size}")
        for axis in axes[len(sizes) :]:
            axis.set_visible(False)
    save(figure, f"speed-{scale}x", f"Frames per second at {scale}x, by CPU, runtime and size")


Values = Mapping[tuple[str, str], float]  # by model and level


def figures_of(records: Sequence[Record], measure: str, degradations: Sequence[str], subjects: Sequence[str]) -> Values:
    """What lineage.csv has of a measure, by model and level: means over degradations and subjects."""
    found: dict[tuple[str, str], list[float]] = {}
    for r in records:
        if r["measure"] == measure and r["degradation"] in degradations and r["subject"] in subjects:
            found.setdefault((r["model"], r["noise"]), []).append(float(r["value"]))
    return {key: sum(values) / len(values) for key, values in found.items()}


def name_of(model: str) -> str:
    return " ".join(part for part in MODEL_NAMES[model] if part)


def default_level(model: str) -> str:
    return default_noise(model) or "" if model else ""


def models() -> None:
    """Likeness to the original and width of edges against speed: a point for each model, and strokes for its levels."""
    records, times = read_records(FIGURES / "lineage.csv"), read_records(FIGURES / "models.csv")
    fps = {r["model"]: 1 / float(r["seconds"]) for r in times}
    (original,) = figures_of(records, "edge width", ["original"], PICTURES).values()
    figure, axes = pyplot.subplots(2, 2, figsize=(WIDTH_IN, 6), sharex=True, layout="constrained")
    figure.suptitle("Models at 2x: up is nearer or sharper, right is faster", x=0.01, ha="left", weight="bold")
    sources = {"clean source": ["clean"], "compressed or blurred source": ["crf35", "down-up", "jpeg30"]}
    for (top, bottom), (words, degradations) in zip(axes.T, sources.items(), strict=True):
        top.set_title(f"{words}: PSNR to the original, dB")
        draw_models(top, figures_of(records, "PSNR", degradations, PICTURES), fps)
        bottom.set_title(f"{words}: width of edges, px")
        draw_models(bottom, figures_of(records, "edge width", degradations, PICTURES), fps, original)
    figure.supxlabel(f"frames per second from {times[0]['size']}, fp32, {short(machine_of(times[0]))}", fontsize=9)
    save(figure, "models", "Likeness to the original and width of edges against speed, for each model")


def draw_models(axis: Any, values: Values, fps: Mapping[str, float], original: float | None = None) -> None:
    """A panel: the value of the original, where less is more, and Spline36, which takes next to no time, are lines."""
    lines = {"Spline36": values["", ""]} | ({} if original is None else {"the original": original})
    low, high = min(*values.values(), *lines.values()), max(*values.values(), *lines.values())
    ends = low - 0.06 * (high - low), high + 0.06 * (high - low)
    axis.set_ylim(ends if original is None else ends[::-1])
    axis.set_xscale("log")
    axis.set_xlim(min(fps.values()) / 1.3, max(fps.values()) * 2)
    axis.xaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.5, 1, 2, 5, 10, 20]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter("{x:g}")
    for name, value in lines.items():
        axis.axhline(value, color=GREY, linestyle=":", zorder=1)
        axis.text(0.01, value, name, color="#666666", fontsize=8, transform=axis.get_yaxis_transform(), va="bottom")
    points = {}
    for model, (colour, _, aside) in MODELS.items():
        moved = axis.transData + ScaledTranslation(aside / 72, 0, axis.figure.dpi_scale_trans)
        own = {noise: value for (name, noise), value in values.items() if name == model}
        points[model] = fps[model], own[default_level(model)]
        axis.plot([fps[model]] * len(own), list(own.values()), color=colour, marker="_", linewidth=1, transform=moved)
        axis.plot(*points[model], color=colour, marker="o", transform=moved)
    name_points(axis, points)


#: of what stands above or beside its point, or to the left or right of the group: alignment, and pt from there
SIDES = {
    "above": ("left", (-4, 7.5)),
    "beside": ("left", (7, 0)),
    "left": ("right", (-13, 0)),
    "right": ("left", (13, 0)),
}


def name_points(axis: Any, points: Mapping[str, tuple[float, float]]) -> None:
    """Names of models at their points, those of a group moved apart."""
    into = axis.transData + axis.transAxes.inverted()
    height = {model: float(into.transform(at)[1]) for model, at in points.items()}
    for side, (alignment, offset) in SIDES.items():
        group = sorted((model for model in points if MODELS[model][1] == side), key=height.__getitem__)
        edge = (min if side == "left" else max)(points[model][0] for model in group)
        for model, place in zip(group, apart([height[model] for model in group]), strict=True):
            axis.annotate(
                fill(name_of(model), 18), (edge, place), offset, axis.get_xaxis_transform(), "offset points",
                color=MODELS[model][0], fontsize=8, ha=alignment, va="center", in_layout=False, zorder=1.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )  # fmt: skip


def apart(heights: Sequence[float], gap: float = 0.09, top: float = 0.97) -> list[float]:
    """Ascending heights in 0..1, moved so that they are a gap apart and below the top."""
    places: list[float] = []
    for height in heights:
        places.append(max(height, places[-1] + gap) if places else height)
    for k in reversed(range(len(places))):
        places[k] = min(places[k], top)
        top = places[k] - gap
    return places


def flicker() -> None:
    """What changes where the source stands still: by model and level, and by how gates are held."""
    figure = pyplot.figure(figsize=(WIDTH_IN, 3), layout="constrained")
    figure.suptitle("Flicker where the source stands still, in codes of 8 bit", x=0.01, ha="left", weight="bold")
    grid = figure.add_gridspec(2, 2, width_ratios=[5, 4])
    left = figure.add_subplot(grid[:, 0])
    values = figures_of(read_records(FIGURES / "lineage.csv"), "flicker", ["crf23"], ["clip"])
    shown = sorted({model for model, _ in values}, key=lambda model: values[model, default_level(model)])
    for place, model in enumerate(shown):
        colour = MODELS[model][0] if model else GREY
        own = [value for (name, _), value in values.items() if name == model]
        left.plot(own, [place] * len(own), color=colour, marker="|", linewidth=1)
        left.plot(values[model, default_level(model)], place, color=colour, marker="o")
    left.set_yticks(range(len(shown)), [name_of(model) for model in shown])
    left.set_ylim(len(shown) - 0.5, -0.5)
    left.set_xlim(0)
    left.set_title("a real clip, by model; strokes are its levels")
    records = [r for r in read_records(FIGURES / "reuse.csv") if r["table"] == "gates"]
    largest = max(float(r["flicker_full"]) for r in records)
    for row, clip in enumerate(dict.fromkeys(r["clip"] for r in records)):
        scene, still = (r for r in records if r["clip"] == clip)
        heights = [float(scene["flicker_full"]), float(scene["flicker"]), float(still["flicker"])]
        axis = figure.add_subplot(grid[row, 1])
        words = [f"{height:.3f}" for height in heights]
        names, colours = ["gates=frame", "gates=scene", "reuse=still"], [GREY, GREEN, GREEN]
        bars(axis, names, heights, words, color=colours, largest=largest)
        axis.set_title(f"a {clip}")
    save(figure, "flicker", "Flicker by model, and by gates and reuse")


def reuse() -> None:
    """How much faster reuse makes each kind of scene."""
    found = {r["clip"]: r for r in read_records(FIGURES / "reuse.csv") if r["table"] == "figures"}
    speeds, shares = ([float(found[clip][column]) for clip in SCENES] for column in ("speed", "computed"))
    words = [f"{speed:.2g}x, {share:.0%} is computed" for speed, share in zip(speeds, shares, strict=True)]
    figure, axis = pyplot.subplots(figsize=(WIDTH_IN, 1.9), layout="constrained")
    bars(axis, list(SCENES.values()), speeds, words, color=BLUE)
    axis.set_title("Times as fast as with reuse=off", weight="bold")
    save(figure, "reuse", "How many times as fast reuse makes five kinds of scenes")


def main() -> None:
    jobs = {"speed": speed, "models": models, "flicker": flicker, "reuse": reuse}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plots", nargs="*", metavar="PLOT", help=f"of {', '.join(jobs)}; all where none is named")
    arguments = parser.parse_args()
    for name in arguments.plots:
        if name not in jobs:
            parser.error(f"PLOT must be one of {', '.join(jobs)}, got {name}; leave it out for all")
    with pyplot.style.context(["default", STYLE]):  # whatever this user's own style is
        for name in arguments.plots or jobs:
            jobs[name]()


if __name__ == "__main__":
    main()
