"""What is measured of the pictures of ``fast``; docs/figures/fast.md says in words what each figure is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vscugan.models.registry import STRENGTHS

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "scripts"), str(ROOT / "training")]
from held_out import Fast, HeldOut, held_out, stills, teachers  # noqa: E402
from lineage_figures import edge_width, flicker  # noqa: E402
from lineage_models import System  # noqa: E402
from lineage_pictures import CLIP, DEGRADATIONS, source, truth  # noqa: E402
from quality import FRAMES, SCORES, Picture, averaged, clip_of, core, frames_of, picture_of, scores, spline36  # noqa: E402
from report import decibels, markdown  # noqa: E402

Table = list[list[str]]
Part = tuple[str, str]  # a mark of docs/figures/fast.md, and what stands there
EDGES_OF = "lines of a face"
TRUTH_LEVELS = ("conservative", "no-denoise")
STEPS = tuple(step / 2 for step in range(2 * len(STRENGTHS) - 1))
STRENGTH_SOURCES = ("crf35", "jpeg30")
TILES = ((64, 64), (152, 96))
TILED_BACKENDS = ("openvino", "torch")


def sources() -> list[Picture]:
    return [each.picture for each in held_out()]


def cast(picture: Picture, wanted: Picture) -> list[float]:
    """By how much the means of R, G and B differ, in codes of 8 bit."""
    return [255 * float(np.mean(ours - theirs, dtype=np.float64)) for ours, theirs in zip(picture, wanted, strict=True)]


def of_largest(values: Sequence[float]) -> str:
    return f"{max(map(abs, values)):.2f}"


def worst(values: Sequence[float], pictures: Sequence[HeldOut]) -> list[str]:
    """The lowest, and which picture that is."""
    k = int(np.argmin(values))
    return [f"{values[k]:.1f}", f"{pictures[k].name}, {pictures[k].degradation}"]


def bicubic(picture: Picture) -> Picture:
    return picture_of(core.resize.Bicubic(clip_of(picture), 2 * picture.shape[2], 2 * picture.shape[1]))


def distance(fast: Fast) -> Iterator[Part]:
    """PSNR to the teacher of the same level and the cast, beside interpolation; and of each picture."""
    pictures = held_out()
    table = [["noise", "mean, dB", "worst, dB", "worst picture", "Bicubic", "Spline36", "R", "G", "B", "largest cast"]]
    found: dict[str, list[float]] = {}
    casts: dict[str, list[list[float]]] = {}
    plain: list[list[float]] = []
    for teacher in teachers():
        level = str(teacher.noise)
        found[level], casts[level], interpolated = [], [], []
        results = replace(fast, noise=level).pictures(sources())
        for each, result, wanted in zip(pictures, results, teacher.pictures(sources()), strict=True):
            found[level].append(decibels(result, wanted))
            casts[level].append(cast(result, wanted))
            ways = bicubic(each.picture), spline36(each.picture, *wanted.shape[1:])
            interpolated.append([decibels(way, wanted) for way in ways])
        plain += interpolated
        table.append(distance_row(level, found[level], interpolated, casts[level], pictures))
    every = [value for values in found.values() for value in values]
    all_casts = [each for values in casts.values() for each in values]
    table.append(distance_row("all", every, plain, all_casts, pictures * len(found)))
    yield "distance", markdown(table)
    by_picture = [["picture", "source", *found]]
    for k, each in enumerate(pictures):
        by_picture.append([each.name, each.degradation, *(f"{values[k]:.1f}" for values in found.values())])
    yield "distance-by-picture", markdown(by_picture)


def distance_row(
    level: str,
    values: Sequence[float],
    interpolated: Sequence[Sequence[float]],
    casts: Sequence[Sequence[float]],
    pictures: Sequence[HeldOut],
) -> list[str]:
    means = [f"{v:+.2f}" for v in np.mean(casts, axis=0)]
    plain = [f"{v:.1f}" for v in np.mean(interpolated, axis=0)]
    largest = of_largest([value for each in casts for value in each])
    return [level, f"{np.mean(values):.2f}", *worst(values, pictures), *plain, *means, largest]


def edges(fast: Fast) -> Iterator[Part]:
    """10-90 % width of the figure's edges, by the source's degradation."""
    table = [["noise", *DEGRADATIONS, "mean"]]
    wanted = truth(EDGES_OF)
    given = [source(EDGES_OF, degradation) for degradation in DEGRADATIONS]
    for teacher in teachers():
        systems: tuple[System, ...] = (teacher, replace(fast, noise=teacher.noise))
        widths = np.array([[edge_width(y, wanted) for y in system.pictures(given)] for system in systems])
        widths = np.column_stack([widths, widths.mean(axis=1)])
        cells = [f"{theirs:.2f} / {ours:.2f} ({ours / theirs - 1:+.0%})" for theirs, ours in widths.T]
        table.append([str(teacher.noise), *cells])
    yield "edges", markdown(table)


def flickers(fast: Fast) -> Iterator[Part]:
    """The mean change in still areas of both clips, in codes of 8 bit."""
    table = [["noise", "crf23", "crf35"]]
    for teacher in teachers():
        systems: tuple[System, ...] = (teacher, replace(fast, noise=teacher.noise))
        theirs, ours = ([value for *_, value in flicker(system)] for system in systems)
        cells = [f"{a:.3f} / {b:.3f} ({b / a - 1:+.0%})" for a, b in zip(theirs, ours, strict=True)]
        table.append([str(teacher.noise), *cells])
    yield "flicker", markdown(table)


def to_truth(fast: Fast) -> Iterator[Part]:
    """The 1280x720 original from its half by area."""
    originals = frames_of(CLIP, FRAMES)
    halves = [averaged(p, 360, 640) for p in originals]
    table = [["how", *SCORES], ["Spline36", *scores([spline36(p, 720, 1280) for p in halves], originals)]]
    for teacher in teachers():
        if teacher.noise in TRUTH_LEVELS:
            for system in (teacher, replace(fast, noise=teacher.noise)):
                table.append([f"`{system.model}`, {system.noise}", *scores(system.pictures(halves), originals)])
    yield "truth", markdown(table)


def own_size(fast: Fast) -> Iterator[Part]:
    """Scale 1 against the teacher's 2x brought down by area."""
    pictures = held_out()
    table = [["noise", "mean, dB", "worst, dB", "worst picture", "the source as it is, dB", "largest cast"]]
    for teacher in teachers():
        detours = [averaged(y, y.shape[1] // 2, y.shape[2] // 2) for y in teacher.pictures(sources())]
        results = replace(fast, noise=teacher.noise).pictures(sources(), scale=1)
        values = [decibels(y, wanted) for y, wanted in zip(results, detours, strict=True)]
        untouched = [decibels(x, wanted) for x, wanted in zip(sources(), detours, strict=True)]
        casts = [value for y, wanted in zip(results, detours, strict=True) for value in cast(y, wanted)]
        row = [f"{np.mean(values):.2f}", *worst(values, pictures), f"{np.mean(untouched):.1f}", of_largest(casts)]
        table.append([str(teacher.noise), *row])
    yield "one", markdown(table)


def strengths(fast: Fast) -> Iterator[Part]:
    """Each strength beside the teachers, and whether pictures go on changing the same way."""
    given = [each.picture for each in held_out() if each.degradation in STRENGTH_SOURCES]
    wanted = {str(t.noise): t.pictures(given) for t in teachers() if t.noise in STRENGTHS}
    results = [replace(fast, noise=None, strength=strength).pictures(given) for strength in STEPS]
    table = [["strength", *(f"dB to {level}" for level in wanted), "from strength 0, codes", "farther than before"]]
    before = np.zeros(len(given))
    for strength, pictures in zip(STEPS, results, strict=True):
        near = [
            f"{np.mean([decibels(y, w) for y, w in zip(pictures, theirs, strict=True)]):.1f}"
            for theirs in wanted.values()
        ]
        moved = np.array([255 * np.abs(y - first).mean() for y, first in zip(pictures, results[0], strict=True)])
        farther = f"{np.sum(moved > before)} of {len(given)}" if strength else ""
        table.append([f"{strength:g}", *near, f"{moved.mean():.2f}", farther])
        before = moved
    yield "strength", markdown(table)


def tiles(fast: Fast) -> Iterator[Part]:
    """Tiles against the whole picture: the largest difference in codes of 8 bit."""
    table = [["`scale`", "runtime", *(f"tile={width},{height}" for width, height in TILES)]]
    picture = stills()["figure"]
    for scale in (1, 2):
        for backend in TILED_BACKENDS:
            (whole,) = fast.pictures([picture], scale, backend=backend, tile=0)
            parts = [fast.pictures([picture], scale, backend=backend, tile=list(tile))[0] for tile in TILES]
            table.append([str(scale), backend, *(f"{255 * np.abs(part - whole).max():.4f}" for part in parts)])
    yield "tiles", markdown(table)
