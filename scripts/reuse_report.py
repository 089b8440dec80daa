"""Measure what reuse saves and what it changes: the tables of docs/explanation/reuse.md, on real clips of 640x360, 2x.

``reuse_report.py [--backend auto] [--only figures thresholds gates]``. Frames are computed with ``reuse="off"`` and
with reuse in turn (A B A B), through ``core.cugan.Upscale``, RGBS out. Takes about 20 minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vscugan.reuse.changes import CELL_PX, changed, differences

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "scripts"), str(ROOT / "tests")]
from report import array_of, decibels, write_table  # noqa: E402
from support import motion  # noqa: E402

REPORT = ROOT / "docs" / "explanation" / "reuse.md"
DATA = ROOT / "tests" / "data"
SCALE = 2
THRESHOLD = 3.0
THRESHOLDS = (1.0, 2.0, 3.0, 4.0)
PITCHES_PX = (CELL_PX * SCALE, 4 * CELL_PX * SCALE)

Picture = NDArray[np.float32]
Clips = dict[str, Callable[[], vs.VideoNode]]


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


def compare(clip: vs.VideoNode, backend: str, ways: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Speed and PSNR of a clip with reuse, in each of the ways, beside the full result: a row of the table for each."""
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
        [
            f"{full.seconds / totals[k].seconds:.2f} x",
            f"{1 - np.mean(reused[k]):.0%}",
            "bit-identical" if same[k] else f"{np.mean(quality[k]):.1f} dB",
            "" if same[k] else f"{min(quality[k]):.1f} dB",
            f"{full.flicker:.3f} / {totals[k].flicker:.3f}",
            ", ".join(f"{y / x - 1:+.1%}" for x, y in zip(full.grid, totals[k].grid, strict=True)),
        ]
        for k in range(1, len(nodes))
    ]


HEAD = ["speed", "computed", "mean", "worst frame", "flicker, full / reuse", "grid energy, cells, blocks"]


def figures(clips: Clips, backend: str) -> None:
    """The first table: each clip as users have it."""
    rows = [["clip (640x360, 2x)", "reuse", *HEAD]]
    for name, clip in clips.items():
        reuse = "exact" if "lossless" in name else "still"
        rows.append([name, reuse, *compare(clip(), backend, [{"reuse": reuse}])[0]])
        print(" | ".join(rows[-1]), flush=True)
    write_table(REPORT, "figures", rows)


def thresholds(clips: Clips, backend: str) -> None:
    """The second table: thresholds of 1 to 4 codes."""
    rows = [["clip", "threshold", *HEAD]]
    for name in ("Sylvie lossy, frames 0-59", "talking head, x264 crf 18"):
        ways = [{"reuse": "still", "threshold": threshold} for threshold in THRESHOLDS]
        for threshold, row in zip(THRESHOLDS, compare(clips[name]()[:60], backend, ways), strict=True):
            rows.append([name.partition(",")[0], f"{threshold:g}", *row])
            print(" | ".join(rows[-1]), flush=True)
    write_table(REPORT, "thresholds", rows)


def blinking(clip: vs.VideoNode) -> vs.VideoNode:
    """The clip with a white caption on every other six frames."""
    white = vs.core.std.BlankClip(clip, width=440, height=40, color=[1.0, 1.0, 1.0])
    middle = clip.std.CropAbs(640, 40, top=300)
    middle = vs.core.std.StackHorizontal([middle.std.CropAbs(100, 40), white, middle.std.CropAbs(100, 40, left=540)])
    captioned = vs.core.std.StackVertical([clip.std.CropAbs(640, 300), middle, clip.std.CropAbs(640, 20, top=340)])
    return vs.core.std.FrameEval(clip, lambda n: captioned if n // 6 % 2 else clip)


def gates(clips: Clips, backend: str) -> None:
    """The third table: flicker in still areas, by the gates."""
    head = clips["talking head, x264 crf 18"]()[:36]
    rows = [["clip", "gates=frame", "gates=scene", "reuse=still", "gates=scene to gates=frame"]]
    for name, clip in (("talking head", head), ("talking head with a caption that blinks", blinking(head))):
        nodes = {
            "frame": upscaled(clip, backend, reuse="off"),
            "scene": upscaled(clip, backend, reuse="off", gates="scene"),
            "still": upscaled(clip, backend, reuse="still"),
        }
        totals = {kind: Totals() for kind in nodes}
        quality = []
        for n, still in sources(clip):
            frames = {kind: timed(node, n)[0] for kind, node in nodes.items()}
            for kind, frame in frames.items():
                totals[kind].add(frame, 0, still)
            quality.append(decibels(frames["scene"], frames["frame"]))
        flickers = [f"{s.flicker:.4f}" for s in totals.values()]
        rows.append([name, *flickers, f"{np.mean(quality):.1f} dB, worst {min(quality):.1f}"])
        print(" | ".join(rows[-1]), flush=True)
    write_table(REPORT, "gates", rows)


PARTS = {"figures": figures, "thresholds": thresholds, "gates": gates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for part in arguments.only:
            PARTS[part](real_and_drawn_clips(Path(folder)), arguments.backend)


if __name__ == "__main__":
    main()
