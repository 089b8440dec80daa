"""``vscugan benchmark --headline``: waifu2x, Real-ESRGAN and Real-CUGAN to the same result, in turns, A B C A B C.

Real-CUGAN's authors introduced it by such a table: each system at its own scale to a result of 1080p, and the time
relative to waifu2x. Beside it stands what explains a difference: time is work (multiply-adds) divided by speed
(multiply-adds a second).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vscugan.architectures import ARCHITECTURES
from vscugan.architectures.architecture import Architecture
from vscugan.cli.guard import raise_swallowed
from vscugan.cli.turns import Contestant, listed_times, make_ready, moving_clip, read_size, seconds_a_frame
from vscugan.models.registry import rows

SIZE = "1920x1080"
#: so that the source of every scale has whole px
MULTIPLE = 4
#: how long each system computes in a turn, where the machine is fast enough, and how many frames that is at most
TURN_S, MOST_FRAMES = 3.0, 50
#: the largest source by which the duration is estimated
ESTIMATED_BY = (320, 180)


@dataclass(frozen=True, kw_only=True, eq=False)
class System:
    """One of the three: its options of Upscale, and its time beside waifu2x's that Real-CUGAN's README states."""

    name: str
    model: str
    scale: int
    published: float
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def architecture(self) -> Architecture:
        """That of its weights; the noise levels share it."""
        row = next(row for row in rows() if (row.model, row.scale) == (self.model, self.scale))
        return ARCHITECTURES[row.architecture]

    def source_size(self, result: tuple[int, int]) -> tuple[int, int]:
        """Width and height of what it is given, for a result of this width and height."""
        return result[0] // self.scale, result[1] // self.scale

    def giga_multiply_adds(self, source: tuple[int, int]) -> float:
        """Those of a frame, by the source's width and height, in 10^9, with what the network pads it by."""
        return self.architecture.shapes.frame_multiply_adds(source[1], source[0]) / 1e9

    def ready(self, source_size: tuple[int, int], frames: int, **options: Any) -> Contestant:
        """A clip of this size through it.

        Raises: vs.Error where that can't be done here.
        """
        import vapoursynth as vs

        # without subsampling, so that sources may have odd sizes
        source = moving_clip(*source_size, frames=frames, format=vs.YUV444P8)
        return make_ready(source, model=self.model, scale=self.scale, **self.options, **options)


REAL_CUGAN = System(name="Real-CUGAN se", model="se", scale=2, published=1.0, options={"noise": "conservative"})
SYSTEMS = (
    System(name="waifu2x CUNet", model="waifu2x", scale=2, published=1.0),
    System(name="Real-ESRGAN anime 6B", model="realesrgan-anime", scale=4, published=2.2),
    REAL_CUGAN,
)


def _working(backends: Sequence[str], device: Any) -> tuple[list[str], dict[str, str]]:
    """The runtimes that take the device, and why the others do not."""
    import vapoursynth as vs

    from vscugan.clip.error_text import first_line
    from vscugan.clip.upscale import upscale

    source = moving_clip(*ESTIMATED_BY, frames=1, format=vs.YUV444P8)
    working, reasons = [], {}
    for backend in backends:
        try:
            upscale(source, backend=backend, device=device)
            working.append(backend)
        except vs.Error as error:
            raise_swallowed()
            reasons[backend] = first_line(error)
    return working, reasons


def _seconds_a_giga(result: tuple[int, int], backend: str, device: Any) -> float:
    """What 10^9 multiply-adds take about, by a small frame through Real-CUGAN."""
    size = min(ESTIMATED_BY, REAL_CUGAN.source_size(result))
    contestant = REAL_CUGAN.ready(size, 1, backend=backend, device=device)
    (seconds,) = seconds_a_frame({"": contestant}, turns=1, frames=1)[""]
    return seconds / REAL_CUGAN.giga_multiply_adds(size)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _announce(result: tuple[int, int], backends: Sequence[str], arguments: argparse.Namespace) -> int:
    """Say what is measured and about how long it takes; returns the frames in a turn."""
    each = _seconds_a_giga(result, backends[0], arguments.device)
    seconds = sum(each * system.giga_multiply_adds(system.source_size(result)) for system in SYSTEMS)
    chosen = min(MOST_FRAMES, max(1, round(TURN_S * len(SYSTEMS) / seconds)))
    frames = int(arguments.frames or chosen)
    all_frames = 1 + arguments.turns * frames  # and the first one, that is not measured
    print(
        f"three systems to {result[0]}x{result[1]}, {_counted(len(backends), 'runtime')}, "
        f"{_counted(arguments.turns, 'turn')} of {_counted(frames, 'frame')}: takes about "
        f"{_duration(seconds * all_frames * len(backends))}",
        flush=True,
    )
    return frames


def _print_times(
    contestants: Mapping[System, Contestant], seconds: Mapping[str, list[float]], result: tuple[int, int]
) -> None:
    """A row for each system, relative to the first that the publication has at 1x."""
    best = {system: min(seconds[system.name]) for system in contestants}
    work = {system: system.giga_multiply_adds(system.source_size(result)) for system in contestants}
    base = next((system for system in contestants if system.published == 1), next(iter(contestants)))
    print(f"  {'':<21}{'source':>9}  s/frame    time published  =  work / speed  kMAC/px GMAC/frame  GMAC/s")
    for system, contestant in contestants.items():
        width, height = system.source_size(result)
        relative_work = work[system] / work[base]
        time = best[system] / best[base]
        each = sum(system.architecture.shapes.multiply_adds) / system.scale**2 / 1000
        tile = "" if contestant.report["tile"] == "whole" else f"  in tiles of {contestant.report['tile']}"
        print(
            f"  {system.name:<21}{f'{width}x{height}':>9} {best[system]:8.3f} {time:6.2f}x {system.published:8.1f}x "
            f"{relative_work:7.2f} / {relative_work / time:5.2f}  {float(each):7.1f} {work[system]:10.1f} "
            f"{work[system] / best[system]:7.1f}  {listed_times(seconds[system.name])}{tile}"
        )


def _measure(backend: str, result: tuple[int, int], frames: int, arguments: argparse.Namespace) -> bool:
    """Measure the three with one runtime, and print it; returns whether any could be measured."""
    import vapoursynth as vs

    from vscugan.clip.error_text import first_line

    contestants: dict[System, Contestant] = {}
    reasons: dict[str, str] = {}
    for system in SYSTEMS:
        try:
            contestants[system] = system.ready(
                system.source_size(result), frames * arguments.turns, backend=backend, device=arguments.device
            )
        except vs.Error as error:
            raise_swallowed()
            reasons[system.name] = first_line(error)
    ready = {system.name: contestant for system, contestant in contestants.items()}
    seconds = seconds_a_frame(ready, turns=arguments.turns, frames=frames)
    print(f"{backend} on {next(iter(ready.values())).device}" if ready else backend)
    if ready:
        _print_times(contestants, seconds, result)
    for name, reason in reasons.items():
        print(f"  {name:<21} left out: {reason}", flush=True)
    return bool(ready)


def run_headline(arguments: argparse.Namespace) -> int:
    """Measure, and print as it goes; returns the exit code.

    Raises: ArgumentError where a source would have no whole px; vs.Error where nothing computes on the device.
    """
    result = read_size(arguments.size or SIZE, MULTIPLE, SIZE)
    backends, reasons = _working(arguments.backend, arguments.device)
    measured = False
    if backends:
        frames = _announce(result, backends, arguments)
        for backend in backends:
            measured |= _measure(backend, result, frames, arguments)
        print(
            "time, work and speed are relative to waifu2x, or to Real-CUGAN without it, and time = work / speed. "
            "published: Real-CUGAN's README.\n"
            "MAC: multiply-adds; px: of the result, without the border that a network pads its source by; "
            "GMAC/frame and work: with it."
        )
    for name, reason in reasons.items():
        print(f"{name:<12} not here: {reason}")
    return 0 if measured else 1
