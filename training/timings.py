"""How fast ``fast`` is beside ``se``, on this machine."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import vapoursynth as vs

from vscugan.cli.turns import make_ready, moving_clip, seconds_a_frame, warm_frames

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "scripts"), str(ROOT / "tests"), str(ROOT / "training")]
from figures import Part, Table  # noqa: E402
from held_out import Fast, held_out  # noqa: E402
from measure import alternate, upscaling  # noqa: E402
from report import decibels, describe_machine, machine_of, markdown  # noqa: E402
from reuse_report import opened  # noqa: E402
from support import motion  # noqa: E402

HEIGHT, WIDTH = 360, 640
PLAIN: dict[str, Any] = {"backend": "openvino", "device": "cpu", "reuse": "off"}
ROUNDS = 7
TURNS, SLOW_FRAMES, FAST_FRAMES = 3, 2, 24
HEAD_FRAMES = 96
NARROW = ("bf16", "int8")


def in_turns(first: dict[str, Any], second: dict[str, Any]) -> tuple[float, float]:
    """Seconds a frame of two engines on arrays, A B A B."""
    one, other = (upscaling(HEIGHT, WIDTH, backend="openvino", **options) for options in (first, second))
    return alternate(one, other, ROUNDS)


def against_se(fast: Fast) -> Table:
    """Both in fp32, in turns: the engine on arrays, and the filter from YUV to YUV."""
    ours, theirs = replace(fast, precision="fp32").options, {"model": "se", "precision": "fp32"}
    slow, quick = in_turns(theirs, ours)
    table = [["640x360, OpenVINO, fp32", "`se`, s a frame", "`fast`", "times as fast"]]
    table.append(["2x, arrays of RGB", f"{slow:.3f}", f"{quick:.4f}", f"{slow / quick:.1f}"])
    clip = moving_clip(WIDTH, HEIGHT, frames=TURNS * SLOW_FRAMES, format=vs.YUV420P8)
    for scale in (2, 1):
        ways = {"se": theirs, "fast": ours}
        ready = {name: make_ready(clip, scale=scale, **options, **PLAIN) for name, options in ways.items()}
        times = seconds_a_frame(ready, turns=TURNS, frames=SLOW_FRAMES)
        slow, quick = median(times["se"]), median(times["fast"])
        table.append([f"{scale}x, clip of YUV420P8", f"{slow:.3f}", f"{quick:.4f}", f"{slow / quick:.1f}"])
    return table


def usable(fast: Fast) -> list[str]:
    """Which of the narrow precisions this CPU computes ``fast`` in."""
    found = []
    clip = moving_clip(64, 64, frames=1, format=vs.YUV420P8)
    for precision in NARROW:
        with suppress(vs.Error):
            ready = make_ready(clip, **replace(fast, precision=precision).options, **PLAIN)
            if ready.report["precision"] == precision:
                found.append(precision)
    return found


def narrow(fast: Fast, precisions: Sequence[str]) -> Table:
    """Precisions against its own fp32: time on arrays, and PSNR over clean pictures."""
    table = [["precision", "s a frame", "times as fast as fp32", "to fp32: mean, dB", "worst, dB"]]
    clean = [each.picture for each in held_out() if each.degradation == "clean"]
    plain = replace(fast, precision="fp32")
    exact = plain.pictures(clean, backend="openvino")
    for precision in precisions:
        ours = replace(fast, precision=precision)
        values = [decibels(y, x) for y, x in zip(ours.pictures(clean, backend="openvino"), exact, strict=True)]
        wide, seconds = in_turns(plain.options, ours.options)
        ratio = f"{wide / seconds:.2f}"
        table.append([precision, f"{seconds:.4f}", ratio, f"{np.mean(values):.1f}", f"{min(values):.1f}"])
    return table


def frame_rates(fast: Fast, precisions: Sequence[str]) -> Table:
    """Frames a second through the filter, YUV420P8 in and out, by what is upscaled and by precision."""

    def rates(name: str, clip: vs.VideoNode, frames: int, **options: Any) -> list[str]:
        ready = {p: make_ready(clip, **replace(fast, precision=p).options, **options) for p in precisions}
        times = seconds_a_frame(ready, turns=TURNS, frames=frames)
        return [name, *(f"{1 / median(times[precision]):.1f}" for precision in precisions)]

    table = [["640x360, YUV420P8", *(f"`precision={precision}`" for precision in precisions)]]
    moving = moving_clip(WIDTH, HEIGHT, frames=TURNS * FAST_FRAMES, format=vs.YUV420P8)
    for scale in (2, 1):
        table.append(rates(f"{scale}x, all moves", moving, FAST_FRAMES, scale=scale, reuse="off"))
    with tempfile.TemporaryDirectory() as folder:
        path = motion.encoded(Path(folder) / "head.mkv", motion.talking_head(HEAD_FRAMES))
        head = opened(path, vs.YUV420P8)
        for reuse in ("off", "still"):
            frames = (HEAD_FRAMES - warm_frames()) // TURNS
            table.append(rates(f"2x, talking head, `reuse={reuse}`", head, frames, reuse=reuse))
    return table


def speed(fast: Fast) -> Iterator[Part]:
    """Three tables, and under which conditions they were made."""
    machine = describe_machine()
    versions = ", ".join(f"{name} {machine[name]}" for name in ("vscugan", "openvino", "torch"))
    yield "machine", f"{machine_of(machine)}; {versions}; {machine['date']}."
    yield "speed", markdown(against_se(fast))
    precisions = usable(fast)
    yield "precisions", markdown(narrow(fast, precisions))
    yield "frame-rates", markdown(frame_rates(fast, ("auto", *precisions)))
