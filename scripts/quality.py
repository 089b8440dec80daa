"""Figures of picture quality, written as tables into docs/figures/quality.md: ``quality.py [truth] [routes] [models]``.

Every picture is real art: the 1280x720 clip of tests/data as ground truth, its 640x360 release as source.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import vapoursynth as vs
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vscugan.clip.area_average import area_average
from vscugan.engine.engine import Engine
from vscugan.models.registry import rows
from vscugan.settings import validate

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from report import array_of, write_table  # noqa: E402

Picture = NDArray[np.float32]  # (3, H, W), RGB in 0..1

DATA = ROOT / "tests" / "data"
REPORT = ROOT / "docs" / "figures" / "quality.md"
FRAMES = (10, 40, 70, 100, 130)
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
EDGES = 2000
REACH_PX = 6

core = vs.core


def clip_of(picture: Picture) -> vs.VideoNode:
    """One RGBS frame."""
    blank = core.std.BlankClip(format=vs.RGBS, width=picture.shape[2], height=picture.shape[1], length=1, keep=True)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for p in range(3):
            np.asarray(out[p])[:] = picture[p]
        return out

    return core.std.ModifyFrame(blank, blank, fill)


def picture_of(clip: vs.VideoNode, n: int = 0) -> Picture:
    """A frame as an array, clipped as a screen would."""
    with clip.get_frame(n) as frame:
        return np.asarray(np.clip(array_of(frame), 0, 1), np.float32)


def frames_of(name: str, numbers: Iterable[int]) -> list[Picture]:
    clip = core.bs.VideoSource(str(DATA / name), cachemode=0).resize.Spline36(format=vs.RGBS)
    return [picture_of(clip, n) for n in numbers]


def averaged(picture: Picture, height: int, width: int) -> Picture:
    return np.asarray(area_average(torch.from_numpy(picture)[None], height, width)[0].numpy())


def spline36(picture: Picture, height: int, width: int) -> Picture:
    return picture_of(core.resize.Spline36(clip_of(picture), width, height))


def upscaled(picture: Picture, **arguments: Any) -> Picture:
    return picture_of(core.cugan.Upscale(clip_of(picture), **arguments))


def luma(picture: Picture) -> Picture:
    return np.asarray(np.tensordot(LUMA, picture, 1))


def edge_profile(picture: Picture, truth: Picture, edges: int = EDGES) -> tuple[float, float, float]:
    """The mean profile across the truth's strongest upright edges, of which ``edges`` are looked at.

    Returns the 10-90 % width in px, the overshoot in % of the step, and the shift in px (positive: to the right).
    """
    y, wanted = luma(picture), luma(truth)
    slope = np.abs(np.diff(wanted, axis=1))
    slope[:, : REACH_PX + 1] = slope[:, -REACH_PX - 1 :] = 0
    strongest = np.argsort(slope, axis=None)[-edges:]
    profiles: tuple[list[Picture], list[Picture]] = ([], [])
    for row, column in zip(*np.unravel_index(strongest, slope.shape), strict=True):
        at = slice(column - REACH_PX + 1, column + REACH_PX + 1)
        low, high = wanted[row, at][:3].mean(), wanted[row, at][-3:].mean()
        if abs(high - low) > 0.2:  # an edge, not a line
            for kept, values in zip(profiles, (y[row, at], wanted[row, at]), strict=True):
                kept.append((values - low) / (high - low))
    ours, theirs = (np.mean(p, axis=0) for p in profiles)

    def crossing(profile: Picture, level: float) -> float:
        right = int(np.argmax(profile >= level))
        return right - float((profile[right] - level) / (profile[right] - profile[right - 1]))

    width = crossing(ours, 0.9) - crossing(ours, 0.1)
    return width, float(ours.max() - 1) * 100, crossing(ours, 0.5) - crossing(theirs, 0.5)


def likeness(picture: Picture, truth: Picture) -> tuple[float, float]:
    """PSNR of RGB, and SSIM of luma."""
    return (
        float(peak_signal_noise_ratio(truth, picture, data_range=1)),
        float(structural_similarity(luma(picture), luma(truth), data_range=1)),
    )


def scores(pictures: list[Picture], truths: list[Picture]) -> list[str]:
    """PSNR of RGB, SSIM of luma, edge width, overshoot and shift; means over the frames."""
    values = [(*likeness(p, truth), *edge_profile(p, truth)) for p, truth in zip(pictures, truths, strict=True)]
    psnr, ssim, width, overshoot, shift = np.mean(values, axis=0)
    return [f"{psnr:.2f}", f"{ssim:.4f}", f"{width:.2f}", f"{overshoot:.1f}", f"{shift:+.2f}"]


SCORES = ["PSNR, dB", "SSIM", "edge 10-90 %, px", "overshoot, %", "shift, px"]


def truth() -> list[list[str]]:
    """The original halved by area, then brought to 1280, 960 and 640."""
    originals = frames_of("sylvie_vn_1280x720_crf8_reference.mkv", FRAMES)
    halves = [averaged(p, 360, 640) for p in originals]
    released = frames_of("sylvie_vn_640x360_crf23.mkv", FRAMES)
    levels = ("conservative", "no-denoise", "denoise1x")
    table = [["to", "how", *SCORES]]

    def direct(noise: str) -> list[Picture]:
        """The bare network's pictures in 8 bit, as a PNG between two programs would hold them."""
        return [np.asarray((passed(half, (2, noise)) * 255).round() / 255, np.float32) for half in halves]

    for width in (1280, 960, 640):
        height = width * 9 // 16
        wanted = [averaged(p, height, width) for p in originals]
        name = f"{width}x{height}"
        table.append([name, "Spline36", *scores([spline36(p, height, width) for p in halves], wanted)])
        if width == 1280:
            table.append([name, "the truth itself", *scores(originals, originals)])
        size: dict[str, Any] = {"scale": 1} if width == 640 else {"width": width}
        for noise in levels:
            ours = [upscaled(p, noise=noise, **size) for p in halves]
            theirs = [p if width == 1280 else spline36(p, height, width) for p in direct(noise)]
            call = "scale=1" if width == 640 else f"width={width}"
            table.append([name, f"`Upscale({call}, noise={noise})`", *scores(ours, wanted)])
            table.append([name, f"direct 2x {noise}, 8 bit, Spline36", *scores(theirs, wanted)])
    table.append(["640x360", "the crf 23 clip as it is", *scores(released, halves)])
    for noise in levels:
        ours = [upscaled(p, noise=noise, scale=1) for p in released]
        table.append(["640x360", f"the crf 23 clip, `Upscale(scale=1, noise={noise})`", *scores(ours, halves)])
    return table


@cache
def engine(scale: int, noise: str, model: str = "se") -> Engine:
    return Engine(validate(scale=scale, noise=noise, model=model))


def passed(picture: Picture, *steps: tuple[int, str]) -> Picture:
    """Through the network once for each (scale, noise)."""
    for scale, noise in steps:
        enlarged = np.empty((3, picture.shape[1] * scale, picture.shape[2] * scale), np.float32)
        engine(scale, noise).upscale(picture, list(enlarged))
        picture = enlarged
    return picture


def routes() -> list[list[str]]:
    """The ways to 4x, 3x and 2.5x, from the original shrunk by area; timed frame by frame in turn."""
    originals = frames_of("sylvie_vn_1280x720_crf8_reference.mkv", FRAMES)
    table = [["to", "passes", *SCORES, "s a frame"]]
    plain, four, three = (), ((4, "conservative"),), ((3, "conservative"),)
    twice, drawn = ((2, "conservative"),) * 2, ((2, "conservative"), (2, "no-denoise"))
    names = {plain: "none, Spline36", four: "4x", three: "3x", twice: "2x, 2x", drawn: "2x, 2x no-denoise"}
    for target, size, ways in (
        ("4x", (180, 320), (plain, four, twice, drawn)),
        ("3x", (240, 426), (plain, four, three)),
        ("2.5x", (288, 512), (plain, four, three)),
    ):
        big = [p[:, :, :1278] for p in originals] if target == "3x" else originals
        small = [averaged(p, *size) for p in big]
        results: dict[Any, list[Picture]] = {way: [] for way in ways}
        seconds = dict.fromkeys(ways, 0.0)
        for way in ways:
            passed(small[0], *way)  # loads the models
        for picture in small:
            for way in ways:
                start = time.perf_counter()
                y = passed(picture, *way)
                y = y if y.shape == big[0].shape else spline36(y, *big[0].shape[1:])
                seconds[way] += time.perf_counter() - start
                results[way].append(y)
        for way in ways:
            table.append([target, names[way], *scores(results[way], big), f"{seconds[way] / len(small):.2f}"])
    return table


def models() -> list[list[str]]:
    """How each model of Real-CUGAN changes the mean colour and the position, over the real clip's frames."""
    sources = frames_of("sylvie_vn_640x360_crf23.mkv", FRAMES)
    table = [["model", "R", "G", "B, codes of 8 bit", "shift across", "shift down, px of the output"]]
    for entry in (row for row in rows() if row.extra is None):
        network = engine(entry.scale, entry.noise, entry.model)
        cast, shift = [], []
        for x in sources:
            y = np.empty((3, x.shape[1] * entry.scale, x.shape[2] * entry.scale), np.float32)
            network.upscale(x, list(y))
            cast.append((y.mean(axis=(1, 2), dtype=np.float64) - x.mean(axis=(1, 2), dtype=np.float64)) * 255)
            plain = luma(spline36(x, *y.shape[1:]))
            down, across = np.gradient(plain)
            slopes = np.stack([across.ravel(), down.ravel()], axis=1)
            shift.append(np.linalg.lstsq(slopes, (plain - luma(y)).ravel(), rcond=None)[0])
        table.append([entry.name, *(f"{v:+.2f}" for v in (*np.mean(cast, axis=0), *np.mean(shift, axis=0)))])
    return table


FIGURES = {"truth": truth, "routes": routes, "models": models}


def main() -> None:
    for name in sys.argv[1:] or FIGURES:
        write_table(REPORT, name, FIGURES[name]())


if __name__ == "__main__":
    main()
