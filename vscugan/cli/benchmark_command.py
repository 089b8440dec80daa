"""``vscugan benchmark``: the installed runtimes on a synthetic clip, in turns."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from vscugan.cli import headline
from vscugan.cli.guard import raise_swallowed
from vscugan.cli.options import names
from vscugan.cli.parser import Parser
from vscugan.cli.turns import (
    Contestant,
    check_count,
    listed_times,
    make_ready,
    moving_clip,
    read_size,
    seconds_a_frame,
)
from vscugan.errors import ArgumentError
from vscugan.option_values import check_choice, device, listed
from vscugan.runtime import BACKENDS

HELP = "measure the installed runtimes in turn (A B A B, about a minute)"
SIZE, SCALE, FRAMES = "320x180", 2, 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument(
        "--headline",
        action="store_true",
        help="instead: waifu2x, Real-ESRGAN and Real-CUGAN to the same result, beside the times that were published",
    )
    parser.add_argument(
        "--size", help=f"size of the source (default {SIZE}), with --headline of the result (default {headline.SIZE})"
    )
    parser.add_argument("--scale", type=int, choices=(2, 3, 4), help=f"default {SCALE}; not with --headline")
    parser.add_argument(
        "--frames", type=int, help=f"frames in a turn (default {FRAMES}, with --headline by the machine's speed)"
    )
    parser.add_argument("--turns", type=int, default=2, help="turns of each contestant (default 2)")
    parser.add_argument("--device", type=device, default="auto", help="as for Upscale (default auto)")
    parser.add_argument(
        "--backend",
        type=names,
        default=list(BACKENDS),
        help=f"only these runtimes, with commas between them: {listed(list(BACKENDS), 'and')}",
    )


def _ready(arguments: argparse.Namespace, frames: int) -> tuple[dict[str, Contestant], dict[str, str]]:
    """The runtimes that work here, ready to be measured; for the others the reason why they do not."""
    import vapoursynth as vs

    from vscugan.clip.error_text import first_line

    width, height = read_size(arguments.size or SIZE, 2, SIZE)
    source = moving_clip(width, height, frames=frames * arguments.turns, format=vs.YUV420P8)
    contestants, reasons = {}, {}
    for backend in arguments.backend:
        try:
            contestants[backend] = make_ready(
                source, scale=arguments.scale or SCALE, backend=backend, device=arguments.device
            )
        except vs.Error as error:
            raise_swallowed()
            reasons[backend] = first_line(error)
    return contestants, reasons


def _benchmark(arguments: argparse.Namespace) -> int:
    frames = FRAMES if arguments.frames is None else arguments.frames
    contestants, reasons = _ready(arguments, frames)
    seconds = seconds_a_frame(contestants, turns=arguments.turns, frames=frames)
    size, scale = arguments.size or SIZE, arguments.scale or SCALE
    print(f"{size}, {scale}x, {arguments.turns} turns of {frames} frames, in s a frame")
    for name, times in sorted(seconds.items(), key=lambda item: min(item[1])):
        print(f"{name:<12} {1 / min(times):7.2f} fps on {contestants[name].device}  {listed_times(times)}")
    for name, reason in reasons.items():
        print(f"{name:<12} not here: {reason}")
    return 0 if contestants else 1


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    from vscugan.engine.standby import wait_for_engines

    arguments = parser.parse(argv)
    for name in ("frames", "turns"):
        if getattr(arguments, name) is not None:
            check_count(name, getattr(arguments, name))
    for name in arguments.backend:
        check_choice("backend", name, tuple(BACKENDS))
    if arguments.headline and arguments.scale is not None:
        raise ArgumentError(f"scale must be left out with headline, got {arguments.scale}; each system has its own")
    wait_for_engines()  # else what computes meanwhile would be measured
    return headline.run_headline(arguments) if arguments.headline else _benchmark(arguments)
