"""``vscugan preview``: frames of a video as PNGs: the enlarged source, and each result."""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vscugan.cli.guard import print_error, raise_swallowed
from vscugan.cli.options import UPSCALE, add_upscale, check_upscale
from vscugan.cli.parser import Parser
from vscugan.errors import ArgumentError, ConflictError, FrameError
from vscugan.models.registry import mixes_levels

if TYPE_CHECKING:
    import numpy as np
    import vapoursynth as vs

HELP = "write frames as PNG: the enlarged source, and the result of each noise level"
#: side length of a crop that nobody has named
CROP_PX = 640
SOURCE = "source"
#: x, y, width, height, px
Crop = tuple[int, int, int, int]


def add_arguments(parser: Parser) -> None:
    """Describe the command."""
    add = parser.add_argument
    add("source", type=os.path.abspath, help="a video file")
    add("--frame", type=int, action="append", default=[], help="a frame number; may be given several times")
    add("--frames", default="", help="several frames: 10,200,3000 or random:5 or scenes:5")
    add("--compare", action="store_true", help="also write all of them side by side, whole and at 1:1")
    add("--crop", help="x,y,width,height of the 1:1 crop in the result (default: the middle)")
    add("-o", "--output", default=".", help="folder for the PNGs (default: here)")
    add("--overwrite", action="store_true", help="replace PNGs that exist")
    add_upscale(parser, several_noises=True)


def _crop(text: str | None, width: int, height: int) -> Crop:
    if text is None:
        w, h = min(CROP_PX, width), min(CROP_PX, height)
        return (width - w) // 2, (height - h) // 2, w, h
    try:
        x, y, w, h = map(int, text.split(","))
    except ValueError:
        x = y = w = h = -1
    if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
        raise ArgumentError(f"crop must be x,y,width,height within {width}x{height} px, got {text}; leave it out")
    return x, y, w, h


def _frames(arguments: argparse.Namespace, clip: vs.VideoNode) -> list[int]:
    """The requested frame numbers, in order.

    Raises: ArgumentError, FrameError.
    """
    from vscugan.image.shots import different_frames

    wanted = set(arguments.frame)
    for part in filter(None, arguments.frames.split(",")):
        kind, _, count = part.rpartition(":")
        if kind not in ("", "random", "scenes") or not count.isdecimal() or (kind and not int(count)):
            raise ArgumentError(
                f"frames must be numbers, random:N or scenes:N, got {part}; write --frames 10,200 or --frames scenes:5"
            )
        if kind == "random":
            wanted |= set(random.sample(range(clip.num_frames), min(int(count), clip.num_frames)))
        elif kind == "scenes":
            wanted |= set(different_frames(clip, int(count)))
        else:
            wanted.add(int(count))
    for n in sorted(wanted):
        if not 0 <= n < clip.num_frames:
            raise ArgumentError(f"frame must be 0 to {clip.num_frames - 1}, got {n}; frames count from 0")
    if not wanted:
        raise ArgumentError("frame must be given, got none; say --frame 1200, or --frames scenes:5")
    return sorted(wanted)


def _variants(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The options of each result, by its label.

    Raises: ArgumentError.
    """
    variants = {}
    for noise in options.pop("noise", [None]):
        given, settings = check_upscale(options if noise is None else options | {"noise": noise})
        model = settings.model if settings.model != "se" else None
        level = settings.noise if settings.strength is None else f"strength-{settings.strength:g}"
        names = [model, f"weights-{Path(settings.weights).stem}" if settings.weights else None]
        if not settings.weights or mixes_levels(settings.model):
            names.append(level)
        variants["-".join(filter(None, names))] = given
    return variants


def _targets(
    arguments: argparse.Namespace, frames: Sequence[int], labels: Sequence[str]
) -> dict[tuple[int, str], Path]:
    """Where the picture of a frame and a label goes, checked before anything is computed.

    Raises: ConflictError.
    """
    folder, stem = Path(arguments.output), Path(arguments.source).stem
    targets = {(n, label): folder / f"{stem}-{n}-{label}.png" for n in frames for label in labels}
    for target in targets.values():
        if target.exists() and not arguments.overwrite:
            raise ConflictError(f"PNG must not exist yet, got {target.name!r}; say --overwrite, or another -o")
    return targets


def _write(pixels: np.ndarray, target: Path) -> None:
    from vscugan.image.picture_files import Picture, write

    write(Picture(pixels=pixels, alpha=None, icc=None, exif=None), target, 0)
    print(f"{os.fspath(target)!r}: {pixels.shape[1]}x{pixels.shape[0]}", flush=True)


def _preview(arguments: argparse.Namespace) -> int:
    variants = _variants({name: value for name, value in vars(arguments).items() if name in UPSCALE})
    from vscugan.encode.job.encode_job import EncodeJob
    from vscugan.encode.source.filter_graph import build
    from vscugan.encode.source.source import open_source
    from vscugan.image.shots import display_size, rgb, shot, side_by_side

    source = open_source(Path(arguments.source), lambda percent: None, False)
    frames = _frames(arguments, source.clip)
    parts = ["compare", "compare-1to1"] if arguments.compare else []
    targets = _targets(arguments, frames, [SOURCE, *variants, *parts])
    results = {
        label: build(EncodeJob(source=arguments.source, output="", options=options), source).clip
        for label, options in variants.items()
    }
    size = display_size(source.clip, next(iter(results.values())))
    x, y, width, height = _crop(arguments.crop, *size)
    clips = {SOURCE: rgb(source.clip, *size)}
    clips |= {label: rgb(clip, *size, is_upscaled=True) for label, clip in results.items()}
    Path(arguments.output).mkdir(parents=True, exist_ok=True)
    code = 0
    for n in frames:
        shots = {}
        for label, clip in clips.items():
            try:
                shots[label] = shot(clip, n)
            except FrameError as error:  # the others are still wanted
                raise_swallowed()
                code = error.exit_code
                print_error("preview", f"frame {n}, {label}: {error}")
                continue
            _write(shots[label], targets[n, label])
        if arguments.compare and len(shots) == len(clips):
            named = {"source, Spline36" if label == SOURCE else label: pixels for label, pixels in shots.items()}
            crops = {label: pixels[y : y + height, x : x + width] for label, pixels in named.items()}
            _write(side_by_side(named), targets[n, "compare"])
            _write(side_by_side(crops), targets[n, "compare-1to1"])
    return code


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    return _preview(parser.parse(argv, ("-o", "--output", "--weights")))
