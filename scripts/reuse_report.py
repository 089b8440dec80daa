"""Measure what reuse saves and what it changes, on real clips of 640x360, 2x.

``reuse_report.py [--backend auto] [--only figures thresholds gates]`` writes docs/figures/reuse.csv, and from it the
tables of docs/explanation/reuse.md; ``--table`` only does that. Frames are computed with ``reuse="off"`` and with reuse
in turn (A B A B), through ``core.cugan.Upscale``, RGBS out. Takes about 20 minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path
from typing import Any

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vscugan.reuse.changes import CELL_PX, changed, differences

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "scripts"), str(ROOT / "tests")]
from report import (  # noqa: E402
    FIGURES,
    Record,
    array_of,
    decibels,
    describe_machine,
    read_records,
    write_records,
    write_table,
)
from support import motion  # noqa: E402

REPORT = ROOT / "docs" / "explanation" / "reuse.md"
RECORDS = FIGURES / "reuse.csv"
DATA = ROOT / "tests" / "data"
#: what is measured, and the table of it
TABLES = ("figures", "thresholds", "gates")
HEAD = ["speed", "computed", "mean", "worst frame", "flicker, full / reuse", "grid energy, cells, blocks"]
SCALE = 2
THRESHOLD = 3.0
THRESHOLDS = (1.0, 2.0, 3.0, 4.0)
PITCHES_PX = (CELL_PX * SCALE, 4 * CELL_PX * SCALE)

Picture = NDArray[np.float32]
Clips = dict[str, Callable[[], vs.VideoNode]]
Way = dict[str, Any]  # options of Upscale
Table = list[list[str]]


def opened(path: Path, format: int = vs.RGBS) -> vs.VideoNode:
    """A file in a format, decoded beforehand, so that no decoder is timed."""
    clip = vs.core.bs.VideoSource(str(path), cachemode=0).resize.Spline36(format=format)
    vs.core.std.SetVideoCache(clip, mode=1, fixedsize=1, maxsize=clip.num_frames)
    for n in range(clip.num_frames):
        clip.get_frame(n).close()
    return clip


def encoded(folder: Path, name: str, pictures: list[NDArray[np.uint8]]) -> vs.VideoNode:
    """Drawn pictures as a lossy file, opened."""
    return opened(motion.encoded(folder / f"{name}.mkv", pictures))


def real_and_drawn_clips(folder: Path) -> Clips:
    return {
        "Sylvie lossy, frames 0-59": lambda: opened(DATA / "sylvie_vn_640x360_crf23.mkv")[:60],
        "Sylvie lossy, all 144 frames": lambda: opened(DATA / "sylvie_vn_640x360_crf23.mkv"),
        "Sylvie lossless, all 144 frames": lambda: opened(DATA / "sylvie_vn_640x360_lossless.mkv"),
        "talking head, x264 crf 18": lambda: encoded(folder, "head", motion.talking_head(96)),
        "everything pans": lambda: encoded(folder, "pan", motion.panning(24)),
    }


def timed(clip: vs.VideoNode, n: int) -> tuple[Picture, float, float]:
    """A frame, the seconds it took, and which share of it was reused."""
    start = time.perf_counter()
    with clip.get_frame(n) as frame:
        seconds = time.perf_counter() - start
        return array_of(frame), seconds, float(frame.props.get("CuganReused", 0))


def upscaled(clip: vs.VideoNode, backend: str, **arguments: Any) -> vs.VideoNode:
    return vs.core.cugan.Upscale(clip, scale=SCALE, backend=backend, report=1, **arguments)


@dataclass
class Totals:
    """Sums over a result's frames so far, with reuse or without."""

    seconds: float = 0.0
    grid: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(PITCHES_PX)))
    flickers: list[float] = field(default_factory=list)
    before: Picture | None = None

    def add(self, frame: Picture, seconds: float, still: NDArray[np.bool_] | None) -> None:
        """``still``: pixels of the result whose source has not changed since the frame before."""
        self.seconds += seconds
        self.grid += [motion.grid_energy(frame, pitch) for pitch in PITCHES_PX]
        if self.before is not None and still is not None and still.any():
            self.flickers.append(float(np.abs(frame - self.before)[:, still].mean()))
        self.before = frame

    @property
    def flicker(self) -> float:
        """Mean absolute change from frame to frame in still areas, in codes of 8 bit."""
        return 255 * float(np.mean(self.flickers)) if self.flickers else 0.0


def still_pixels(a: Picture, b: Picture) -> NDArray[np.bool_]:
    """The pixels where the result of source ``b`` should not differ from that of ``a``."""
    still = ~changed(differences(a, b), THRESHOLD)
    return still.repeat(CELL_PX * SCALE, 0).repeat(CELL_PX * SCALE, 1)[: SCALE * a.shape[1], : SCALE * a.shape[2]]


def sources(clip: vs.VideoNode) -> Iterator[tuple[int, NDArray[np.bool_] | None]]:
    before = None
    for n, frame in enumerate(clip.frames()):
        source = array_of(frame)
        yield n, None if before is None else still_pixels(before, source)
        before = source


def compare(clip: vs.VideoNode, backend: str, ways: Sequence[Way]) -> list[Record]:
    """A clip upscaled in each of the ways, beside the full result: a record for each.

    ``speed`` is relative to the full result, ``computed`` a share of the pixels, PSNR to the full result (``inf`` where
    all is bit-identical), flicker in codes of 8 bit, the grid's energy relative to that of the full result.
    """
    nodes = [upscaled(clip, backend, reuse="off"), *(upscaled(clip, backend, **way) for way in ways)]
    totals = [Totals() for _ in nodes]
    quality, reused = [list[float]() for _ in nodes], [list[float]() for _ in nodes]
    same = [True] * len(nodes)
    for n, still in sources(clip):
        order = [*range(n % len(nodes), len(nodes)), *range(n % len(nodes))]  # so that none always follows the same one
        results = {}
        for k in order:
            results[k], seconds, share = timed(nodes[k], n)
            totals[k].add(results[k], seconds, still)
            reused[k].append(share)
        for k, result in results.items():
            quality[k].append(decibels(result, results[0]))
            same[k] &= np.array_equal(result, results[0])
    full = totals[0]
    return [
        {
            "reuse": way["reuse"],
            "gates": way.get("gates", "frame"),
            "threshold": f"{way.get('threshold', THRESHOLD):g}",
            "speed": f"{full.seconds / totals[k].seconds:.3f}",
            "computed": f"{1 - np.mean(reused[k]):.4f}",
            "psnr_dB": "inf" if same[k] else f"{np.mean(quality[k]):.2f}",
            "worst_dB": "inf" if same[k] else f"{min(quality[k]):.2f}",
            "flicker_full": f"{full.flicker:.5f}",
            "flicker": f"{totals[k].flicker:.5f}",
            "grid_cells": f"{totals[k].grid[0] / full.grid[0] - 1:.5f}",
            "grid_blocks": f"{totals[k].grid[1] / full.grid[1] - 1:.5f}",
        }
        for k, way in enumerate(ways, 1)
    ]


def blinking(clip: vs.VideoNode) -> vs.VideoNode:
    """The clip with a white caption on every other six frames."""
    white = vs.core.std.BlankClip(clip, width=440, height=40, color=[1.0, 1.0, 1.0])
    middle = clip.std.CropAbs(640, 40, top=300)
    middle = vs.core.std.StackHorizontal([middle.std.CropAbs(100, 40), white, middle.std.CropAbs(100, 40, left=540)])
    captioned = vs.core.std.StackVertical([clip.std.CropAbs(640, 300), middle, clip.std.CropAbs(640, 20, top=340)])
    return vs.core.std.FrameEval(clip, lambda n: captioned if n // 6 % 2 else clip)


def cases(table: str, clips: Clips) -> Iterator[tuple[str, vs.VideoNode, list[Way]]]:
    """What a table compares: names of clips, and the ways to upscale each."""
    if table == "figures":  # each clip as users have it
        for name, clip in clips.items():
            yield name, clip(), [{"reuse": "exact" if "lossless" in name else "still"}]
    elif table == "thresholds":
        for name in ("Sylvie lossy, frames 0-59", "talking head, x264 crf 18"):
            ways: list[Way] = [{"reuse": "still", "threshold": threshold} for threshold in THRESHOLDS]
            yield name.partition(",")[0], clips[name]()[:60], ways
    else:
        head = clips["talking head, x264 crf 18"]()[:36]
        for name, clip in (("talking head", head), ("talking head with a caption that blinks", blinking(head))):
            yield name, clip, [{"reuse": "off", "gates": "scene"}, {"reuse": "still"}]


def measure(table: str, clips: Clips, backend: str) -> list[Record]:
    """The records of a table."""
    machine, records = describe_machine(), list[Record]()
    for name, clip, ways in cases(table, clips):
        for record in compare(clip, backend, ways):
            records.append(machine | {"table": table, "clip": name} | record)
            print(*list(records[-1].values())[len(machine) :], sep=" | ", flush=True)
    return records


def cells(record: Record) -> list[str]:
    """What the first two tables say of speed and likeness."""
    mean, worst = float(record["psnr_dB"]), float(record["worst_dB"])
    same = mean == float("inf")
    return [
        f"{float(record['speed']):.2f} x",
        f"{float(record['computed']):.0%}",
        "bit-identical" if same else f"{mean:.1f} dB",
        "" if same else f"{worst:.1f} dB",
        f"{float(record['flicker_full']):.3f} / {float(record['flicker']):.3f}",
        f"{float(record['grid_cells']):+.1%}, {float(record['grid_blocks']):+.1%}",
    ]


def tables(records: Sequence[Record]) -> dict[str, Table]:
    """The tables of docs/explanation/reuse.md by their marks."""
    found = {"figures": [["clip (640x360, 2x)", "reuse", *HEAD]], "thresholds": [["clip", "threshold", *HEAD]]}
    for record in records:
        if record["table"] in found:
            way = record["reuse" if record["table"] == "figures" else "threshold"]
            found[record["table"]].append([record["clip"], way, *cells(record)])
    gates = [["clip", "gates=frame", "gates=scene", "reuse=still", "gates=scene to gates=frame"]]
    for scene, still in batched((r for r in records if r["table"] == "gates"), 2):
        flickers = [f"{float(v):.4f}" for v in (scene["flicker_full"], scene["flicker"], still["flicker"])]
        near = f"{float(scene['psnr_dB']):.1f} dB, worst {float(scene['worst_dB']):.1f}"
        gates.append([scene["clip"], *flickers, near])
    return found | {"gates": gates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--only", nargs="+", default=TABLES, choices=TABLES)
    parser.add_argument("--table", action="store_true", help="only write the tables of docs/explanation/reuse.md again")
    arguments = parser.parse_args()
    records = read_records(RECORDS)
    if not arguments.table:
        with tempfile.TemporaryDirectory() as folder:
            clips = real_and_drawn_clips(Path(folder))
            for name in arguments.only:
                others = [record for record in records if record["table"] != name]
                records = [*others, *measure(name, clips, arguments.backend)]
                write_records(RECORDS, records)
    for name, table in tables(records).items():
        write_table(REPORT, name, table)


if __name__ == "__main__":
    main()
