"""What is measured on the results of models; docs/figures/lineage.md says in words what each figure is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from lineage_models import System, systems  # noqa: E402
from lineage_pictures import DEGRADATIONS, HEIGHT, SUBJECTS, WIDTH, h264, source, truth  # noqa: E402
from quality import DATA, Picture, core, edge_profile, likeness, luma, picture_of, spline36  # noqa: E402
from report import decibels  # noqa: E402
from reuse_report import Totals, still_pixels  # noqa: E402

BLOCK_PX = 8  #: noise is coarse in the means of blocks of this size in the result, and fine within them
SMOOTH = 6 / 255  #: by how much a truth's luma may vary in a block that counts as smooth
SEED = 16
#: of the noise that is drawn: standard deviation in codes of 8 bit, and pitch in px of the source
NOISES = {"weak grain": (2, 1), "strong grain": (8, 1), "coarse noise": (4, 8)}
MARGIN_PX = 16
OWN_SIZE = "own size"
#: where bricks alone, the figure and the caption are in their pictures
BRICKS = (slice(None), slice(64, 272), slice(300, 636))
FIGURE = (slice(None), slice(None), slice(190, 480))
CAPTION = (slice(None), slice(244, 344), slice(230, 410))
FIGURE_EDGES = 300
FLICKER_CLIPS = ("sylvie_vn_640x360_crf23.mkv", "sylvie_vn_640x360_lossless.mkv")
FLICKER_FRAMES = range(36, 60)
FLICKER_TOP, FLICKER_LEFT, FLICKER_HEIGHT, FLICKER_WIDTH = 0, 208, 144, 208
Row = tuple[str, str, str, float]  # degradation, subject, measure, value


def edge_width(picture: Picture, wanted: Picture) -> float:
    """10-90 % width in px of the figure's strongest upright edges."""
    return edge_profile(picture[FIGURE], wanted[FIGURE], FIGURE_EDGES)[0]


def blocks(values: Picture) -> Picture:
    """(H, W) cut into blocks: (count, 64)."""
    height, width = (size // BLOCK_PX * BLOCK_PX for size in values.shape)
    cut = values[:height, :width].reshape(height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    return cut.transpose(0, 2, 1, 3).reshape(-1, BLOCK_PX**2)


def rms(values: Picture) -> float:
    return float(np.sqrt(np.mean(values.astype(np.float64) ** 2)))


def coarse_and_fine(values: Picture) -> tuple[float, float]:
    """RMS of blocks' means around the mean of all, and of what is within blocks."""
    means = values.mean(axis=1, keepdims=True)
    return rms(means - means.mean()), rms(values - means)


def detail(picture: Picture, wanted: Picture) -> tuple[float, float]:
    """Fine detail of luma: how much of it for that of the truth, and its correlation with that of the truth."""
    ours, theirs = (y - y.mean(axis=1, keepdims=True) for y in (blocks(luma(picture)), blocks(luma(wanted))))
    return rms(ours) / rms(theirs), float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1])


def steepness(picture: Picture, wanted: Picture) -> float:
    """RMS slope of luma for that of the truth: 1 is as soft as it was, more is sharper."""
    ours, theirs = (rms(np.asarray(np.gradient(luma(p)))) for p in (picture, wanted))
    return ours / theirs


def noise_left(picture: Picture, wanted: Picture) -> tuple[float, float]:
    """Coarse and fine error of luma in blocks that are smooth in the truth, in codes of 8 bit."""
    smooth = np.ptp(blocks(luma(wanted)), axis=1) < SMOOTH
    coarse, fine = coarse_and_fine(blocks(luma(picture) - luma(wanted))[smooth])
    return 255 * coarse, 255 * fine


def subject_figures(system: System) -> Iterator[Row]:
    """Against the truth, for each degradation and subject."""
    for degradation in DEGRADATIONS:
        results = system.pictures([source(subject, degradation) for subject in SUBJECTS])
        for subject, result in zip(SUBJECTS, results, strict=True):
            wanted = truth(subject)
            named = dict(zip(("PSNR", "SSIM"), likeness(result, wanted), strict=True))
            if subject == "bokeh":
                named["steepness"] = steepness(result, wanted)
            elif subject == "floor texture":
                named |= zip(("detail", "detail correlation"), detail(result[BRICKS], wanted[BRICKS]), strict=True)
            elif subject == "text":
                named |= zip(
                    ("PSNR of lines", "SSIM of lines"), likeness(result[CAPTION], wanted[CAPTION]), strict=True
                )
            elif subject == "lines of a face":
                named |= zip(("coarse noise left", "fine noise left"), noise_left(result, wanted), strict=True)
                named["edge width"] = edge_width(result, wanted)
            yield from ((degradation, subject, name, value) for name, value in named.items())


def own_size_figures(system: System) -> Iterator[Row]:
    """At the source's own size (``scale=1``), against the source before its degradation; not every level has it."""
    if not system.restores:
        return
    for degradation in DEGRADATIONS:
        wanted = source("lines of a face", "clean")
        given = source("lines of a face", degradation)
        result = system.picture(given, scale=1) if system.model else given
        named = dict(zip(("PSNR", "SSIM"), likeness(result, wanted), strict=True))
        yield from ((degradation, OWN_SIZE, name, value) for name, value in named.items())


def ramps() -> Picture:
    """(3, 180, 320): soft slopes of colour, nothing that noise could be mistaken for."""
    y, x = np.mgrid[: HEIGHT // 2, : WIDTH // 2].astype(np.float32)
    slopes = (0.3 + 0.4 * x / x.max(), 0.3 + 0.4 * y / y.max(), 0.7 - 0.3 * x / x.max())
    return np.asarray(slopes, np.float32)


def noise(codes: float, pitch: int) -> NDArray[np.float32]:
    """(1, 180, 320): Gaussian noise of a standard deviation and pitch, the same in R, G and B."""
    height, width = HEIGHT // 2, WIDTH // 2
    grid = np.random.default_rng(SEED).standard_normal((height // pitch, width // pitch)).astype(np.float32)
    drawn = grid
    if pitch > 1:  # resampled between 0 and 1, where a picture is clipped
        drawn = spline36(np.stack([grid / 16 + 0.5] * 3), height, width)[0] - 0.5
    return np.asarray(drawn / drawn.std() * codes / 255, np.float32)[None]


def kept_noise(system: System) -> Iterator[Row]:
    """How much of drawn noise is left, for what Spline36 leaves: of grain what is fine, else what is coarse."""
    clean, plain = ramps(), System()
    inner = (slice(None), slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
    for name, (codes, pitch) in NOISES.items():
        noisy = clean + noise(codes, pitch)
        left = [blocks(luma((s.picture(noisy) - s.picture(clean))[inner])) for s in (system, plain)]
        ours, theirs = (coarse_and_fine(values)[int(pitch == 1)] for values in left)
        yield "clean", name, "kept", ours / theirs


@cache
def flicker_sources(file: str) -> list[Picture]:
    """A part of the real clip's frames, in which little but a mouth moves."""
    clip = core.bs.VideoSource(str(DATA / file), cachemode=0).resize.Spline36(format=vs.RGBS)
    clip = clip.std.CropAbs(FLICKER_WIDTH, FLICKER_HEIGHT, FLICKER_LEFT, FLICKER_TOP)
    return [picture_of(clip, n) for n in FLICKER_FRAMES]


def flicker(system: System) -> Iterator[Row]:
    """As scripts/reuse_report.py measures it: the mean change from frame to frame where the source stands still."""
    released, lossless = map(flicker_sources, FLICKER_CLIPS)
    for degradation, sources in (("crf23", released), ("crf35", h264(lossless))):
        totals, before = Totals(), None
        for frame, result in zip(sources, system.pictures(sources), strict=True):
            totals.add(result, 0, None if before is None else still_pixels(before, frame))
            before = frame
        yield degradation, "clip", "flicker", totals.flicker


def likeness_to(others: Sequence[System], system: System) -> Iterator[Row]:
    """How near the results of other models are, by PSNR: the mean over all subjects and degradations."""
    sources = [source(subject, degradation) for degradation in DEGRADATIONS for subject in SUBJECTS]
    ours = system.pictures(sources)
    for other in others:
        each = [decibels(y, ours[k]) for k, y in enumerate(other.pictures(sources))]
        yield "all", "all", f"PSNR to {other.model} {other.noise}", float(np.mean(each))


def figures(system: System) -> Iterator[Row]:
    """All of a system; with interpolation, what the original's edges are, too."""
    if not system.model:
        face = truth("lines of a face")
        yield "original", "lines of a face", "edge width", edge_width(face, face)
    yield from subject_figures(system)
    yield from own_size_figures(system)
    yield from kept_noise(system)
    yield from flicker(system)
    if system.model == "waifu2x":
        yield from likeness_to(systems("se"), system)
