"""Pairs of sources and what the teacher makes of them, kept in files of 64: ``teacher.py ART FOLDER --files 50``.

A file holds ``sources`` (N, px, px, 3) and ``results`` (N, 2 px, 2 px, 3) in 8 bit, and the ``levels`` (N) by their
places in ``LEVELS``; the samples 2 k and 2 k + 1 are neighbouring frames where ``related`` (N / 2) says so. Files that
are there are kept, so that it goes on after a stop; several processes share the work by ``--part K/N``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from vscugan.engine.engine import Engine
from vscugan.settings import validate

sys.path.append(str(Path(__file__).resolve().parent))
from degradations import FRAMES, Pixels, degraded
from families import LEVELS, SHARES
from scenes import Materials, composed, materials, scene

PX = 256
PER_FILE = 64
#: mean step from pixel to pixel in codes of 8 bit under which a picture may be passed over, the flatter, the likelier
DETAILED = 12.0


def gradient(pixels: Pixels) -> float:
    """The mean step from pixel to pixel along both axes, in codes."""
    luma = pixels.mean(-1)
    return float(np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean())


def pairs(art: Materials, rng: np.random.Generator) -> Iterator[list[Pixels]]:
    """Two neighbouring frames of a source, again and again."""
    while True:
        factor = rng.uniform(1, 2.2)
        layers = scene(art, rng, round(PX * factor))
        speed = [tuple(rng.integers(-6, 7, 2)) if rng.random() < 0.35 else (0, 0) for _ in layers[1:]]
        still = not any(map(any, speed))
        frames = [composed(layers)] * FRAMES
        if not still:
            frames = [composed(layers, [(int(dx) * t, int(dy) * t) for dx, dy in speed]) for t in range(FRAMES)]
        pair = degraded(frames, PX, rng)
        if rng.random() < np.clip(gradient(pair[0]) / DETAILED, 0.1, 1):
            yield pair


class Teacher:
    """The ``se`` 2x models, one for each level."""

    def __init__(self, precision: str, backend: str) -> None:
        self._engines = [
            Engine(validate(scale=2, noise=level, model="se", precision=precision, backend=backend)) for level in LEVELS
        ]

    def __call__(self, source: Pixels, level: int) -> Pixels:
        """(H, W, 3) -> (2 H, 2 W, 3)."""
        picture = np.ascontiguousarray(source.transpose(2, 0, 1), np.float32) / np.float32(255)
        height, width, _ = source.shape
        result = np.empty((3, 2 * height, 2 * width), np.float32)
        self._engines[level].upscale(picture, list(result))
        return np.rint(255 * result.clip(0, 1)).astype(np.uint8).transpose(1, 2, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("art", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--held-out", action="store_true", help="of the files of art that are held out")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    part, parts = map(int, arguments.part.split("/"))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    art, teacher = materials(arguments.art, arguments.held_out), Teacher(arguments.precision, arguments.backend)
    print(f"{len(art.figures)} figures, {len(art.backgrounds)} backgrounds, {len(art.fonts)} fonts", flush=True)
    for number in range(arguments.first + part, arguments.first + arguments.files, parts):
        path = arguments.folder / f"{number:05}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng([17, arguments.held_out, number])
        source = pairs(art, rng)
        sources, results, levels, related = [], [], [], []
        for _ in range(PER_FILE // 2):
            level = int(rng.choice(len(LEVELS), p=SHARES))
            frames = next(source)
            related.append(not np.array_equal(frames[0], frames[1]))
            if not related[-1]:
                frames = [frames[0], next(source)[0]]
            for frame in frames:
                sources.append(frame)
                results.append(teacher(frame, level))
                levels.append(level)
        temporary = path.with_suffix(f".{part}.tmp")
        with temporary.open("wb") as file:
            np.savez(
                file,
                sources=np.stack(sources),
                results=np.stack(results),
                levels=np.array(levels, np.uint8),
                related=np.array(related),
            )
        temporary.rename(path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
