"""``vscugan preview``: frames of a video as PNGs, the source enlarged beside the result."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from vscugan.cli.options import add_upscale, given_upscale, guarded, named_files
from vscugan.errors import ArgumentError

HELP = "write frames as PNG, beside the enlarged source with --compare"
CROP_PX = 640


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("source", type=os.path.abspath, help="a video file")
    parser.add_argument("--frame", type=int, action="append", required=True, help="which one; may be said again")
    parser.add_argument("--compare", action="store_true", help="also source and result side by side, whole and at 1:1")
    parser.add_argument("--crop", help="x,y,width,height of the 1:1 crop in the result (default: the middle)")
    parser.add_argument("-o", "--output", default=".", help="folder for the PNGs (default: here)")
    parser.add_argument("--overwrite", action="store_true", help="replace PNGs that exist")
    add_upscale(parser)


def _area(text: str | None, width: int, height: int) -> tuple[int, int, int, int]:
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


def _preview(arguments: argparse.Namespace) -> int:
    options = given_upscale(arguments)
    from vscugan.encode.graph import build
    from vscugan.encode.plan import Plan
    from vscugan.encode.source import open_source
    from vscugan.image.files import Picture, write
    from vscugan.image.shots import rgb, shot

    source = open_source(Path(arguments.source), lambda percent: None, False)
    for n in arguments.frame:
        if not 0 <= n < source.clip.num_frames:
            raise ArgumentError(f"frame must be 0 to {source.clip.num_frames - 1}, got {n}; frames count from 0")
    result = build(Plan(source=arguments.source, output="", options=options), source).clip
    area = _area(arguments.crop, result.width, result.height)
    folder, stem = Path(arguments.output), Path(arguments.source).stem
    plain = rgb(source.clip, result.width, result.height)
    made = rgb(result, result.width, result.height)
    for n in arguments.frame:
        shots = {"": shot(made, n)}
        if arguments.compare:
            shots |= {"-compare": shot(plain, n, beside=made), "-compare-1to1": shot(plain, n, beside=made, area=area)}
        for part, pixels in shots.items():
            target = folder / f"{stem}-{n}{part}.png"
            if target.exists() and not arguments.overwrite:
                raise ArgumentError(f"PNG must not exist yet, got {target.name!r}; say --overwrite, or another -o")
            folder.mkdir(parents=True, exist_ok=True)
            write(Picture(pixels=pixels, alpha=None, icc=None, exif=None), target, 0)
            print(f"{os.fspath(target)!r}: {pixels.shape[1]}x{pixels.shape[0]}", flush=True)
    sys.stdout.flush()
    return 0


def run(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    """Run the command on its words; returns the exit code."""
    arguments = parser.parse_args(named_files(words, ("-o", "--output", "--weights")))
    return guarded("preview", lambda: _preview(arguments))
