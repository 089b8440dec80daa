"""``vscugan benchmark``: the installed runtimes on a synthetic clip, in turns."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from vscugan.cli.guard import raise_swallowed
from vscugan.cli.parser import Parser
from vscugan.errors import ArgumentError
from vscugan.option_values import device
from vscugan.runtime import BACKENDS

HELP = "measure the installed runtimes in turn (A B A B, about a minute)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--size", default="320x180", help="size of the source (default 320x180)")
    parser.add_argument("--scale", type=int, default=2, choices=(2, 3, 4), help="default 2")
    parser.add_argument("--frames", type=int, default=5, help="frames in a turn (default 5)")
    parser.add_argument("--turns", type=int, default=2, help="turns of each runtime (default 2)")
    parser.add_argument("--device", type=device, default="auto", help="as for Upscale (default auto)")


def _warm_frames() -> int:
    """Frames of a clip that are not measured: on CUDA each of two slots captures its graph after some of them."""
    from vscugan.runtime.cuda_graphs import FRAMES_BEFORE_CAPTURE

    return 2 * FRAMES_BEFORE_CAPTURE + 1


def _compute(clip: Any) -> None:
    """Compute all frames of a clip."""
    for frame in clip.frames(close=True):
        frame.close()


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = map(int, text.split("x"))
    except ValueError:
        width = height = 0
    if min(width, height) < 2 or width % 2 or height % 2:
        raise ArgumentError(f"size must be WIDTHxHEIGHT of even numbers, got {text}; use 320x180")
    return width, height


def _clips(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """For each runtime that works here a clip and what computes it; for the others the reason why they do not."""
    import vapoursynth as vs

    from vscugan.clip.error_text import first_line
    from vscugan.clip.upscale import describe, upscale
    from vscugan.engine.standby import wait_for_engines

    width, height = _size(arguments.size)
    wait_for_engines()  # else what computes meanwhile would be measured
    core = vs.core
    length = _warm_frames() + arguments.frames * arguments.turns
    blank = core.std.BlankClip(format=vs.YUV420P8, width=width, height=height, length=length, keep=True)
    # another colour each time, so that no frame is like the one before; the network's time does not depend on it
    moving = core.std.FrameEval(
        blank, lambda n: core.std.BlankClip(blank, length=1, color=[40 + n % 160, 100 + n % 50, 128])
    )
    clips, devices, reasons = {}, {}, {}
    for backend in BACKENDS:
        try:
            clip = upscale(moving, scale=arguments.scale, backend=backend, device=arguments.device, report=True)
            report = describe(clip)
            if report["device"].startswith("cuda"):  # elsewhere the one frame that was described is enough
                _compute(clip[1 : _warm_frames()])
            clips[backend], devices[backend] = clip, f"{report['device']}, {report['precision']}"
        except vs.Error as error:
            raise_swallowed()
            reasons[backend] = first_line(error)
    return clips, devices, reasons


def _benchmark(arguments: argparse.Namespace) -> int:
    for name, value in (("frames", arguments.frames), ("turns", arguments.turns)):
        if value < 1:
            raise ArgumentError(f"{name} must be at least 1, got {value}; leave it out for the default")
    clips, devices, reasons = _clips(arguments)
    seconds: dict[str, list[float]] = {name: [] for name in clips}
    for turn in range(arguments.turns):
        for name, clip in clips.items():
            first = _warm_frames() + turn * arguments.frames
            start = time.perf_counter()
            _compute(clip[first : first + arguments.frames])
            seconds[name].append((time.perf_counter() - start) / arguments.frames)
    print(f"{arguments.size}, {arguments.scale}x, {arguments.turns} turns of {arguments.frames} frames, in s a frame")
    for name, times in sorted(seconds.items(), key=lambda item: min(item[1])):
        listed = ", ".join(f"{t:.3f}" for t in times)
        print(f"{name:<12} {1 / min(times):7.2f} fps on {devices[name]}  ({listed})")
    for name, reason in reasons.items():
        print(f"{name:<12} not here: {reason}")
    return 0 if clips else 1


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    return _benchmark(parser.parse(argv))
