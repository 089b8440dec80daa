"""``vscugan benchmark --headline``: waifu2x, Real-ESRGAN and Real-CUGAN to the same result, in turns, A B C A B C.

Real-CUGAN's authors introduced it by such a table: each system at its own scale to a result of 1080p, and its time
relative to waifu2x's. Beside the times stands what explains them: the work (multiply-adds) and the speed
(multiply-adds a second).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vscugan.architectures import ARCHITECTURES
from vscugan.architectures.architecture import Architecture
from vscugan.cli.guard import raise_swallowed
from vscugan.cli.turns import Contestant, listed_times, make_ready, moving_clip, read_size, seconds_a_frame
from vscugan.errors import WeightsError
from vscugan.models.registry import ModelRow, find, released_folder

SIZE = "1920x1080"
#: so that the source of every scale has whole px
MULTIPLE = 4
#: how long each system computes in a turn, where the machine is fast enough, and how many frames that is at most
TURN_S, MOST_FRAMES = 3.0, 50
#: the largest source by which the duration is estimated
ESTIMATED_BY = (320, 180)
LEGEND = """time, work, speed: relative to waifu2x, or to Real-CUGAN without it; time = work / speed
published:         that time in Real-CUGAN's README
work:              multiply-adds of a whole frame and of the border that its network adds; in tiles there are more
speed:             multiply-adds a second
kMAC/px:           thousands of multiply-adds for a px of the result, without the border"""


@dataclass(frozen=True, kw_only=True, eq=False)
class System:
    """One of the three: the model, and its time relative to waifu2x's in Real-CUGAN's README."""

    name: str
    model: str
    scale: int
    noise: str | None  #: makes no difference to the time
    published: float

    @cached_property
    def row(self) -> ModelRow:
        """The model in the registry."""
        return find(model=self.model, scale=self.scale, noise=self.noise)

    @property
    def architecture(self) -> Architecture:
        """The model's network."""
        return ARCHITECTURES[self.row.architecture]

    @property
    def multiply_adds_a_px(self) -> float:
        """Those for a px of the result."""
        return float(sum(self.architecture.shapes.multiply_adds)) / self.scale**2

    def source_size(self, result: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the source, for a result of this width and height."""
        return result[0] // self.scale, result[1] // self.scale

    def giga_multiply_adds(self, source: tuple[int, int]) -> float:
        """Those of a frame, in 10^9, by the source's width and height."""
        return self.architecture.shapes.frame_multiply_adds(source[1], source[0]) / 1e9

    def ready(self, source_size: tuple[int, int], frames: int, **options: Any) -> Contestant:
        """A clip of this width and height through it, with more options of Upscale.

        Raises: vs.Error where that can't be done here.
        """
        import vapoursynth as vs

        # without subsampling, so that the source may have an odd size
        source = moving_clip(*source_size, frames=frames, format=vs.YUV444P8)
        return make_ready(source, model=self.model, scale=self.scale, noise=self.noise, **options)


REAL_CUGAN = System(name="Real-CUGAN se", model="se", scale=2, noise="conservative", published=1.0)
SYSTEMS = (
    System(name="waifu2x CUNet", model="waifu2x", scale=2, noise="denoise0x", published=1.0),
    System(name="Real-ESRGAN anime 6B", model="realesrgan-anime", scale=4, noise=None, published=2.2),
    REAL_CUGAN,
)


def _installed(systems: Sequence[System]) -> tuple[list[System], dict[str, str]]:
    """The systems whose weights are there, and why the others can't take part."""
    installed, reasons = [], {}
    for system in systems:
        try:
            released_folder(system.row)
            installed.append(system)
        except WeightsError as error:
            reasons[system.name] = str(error)
    return installed, reasons


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
    size = min(ESTIMATED_BY, REAL_CUGAN.source_size(result), key=math.prod)
    contestant = REAL_CUGAN.ready(size, 1, backend=backend, device=device)
    (seconds,) = seconds_a_frame({"": contestant}, turns=1, frames=1)[""]
    return seconds / REAL_CUGAN.giga_multiply_adds(size)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return _counted(minutes, "minute") if minutes > 1 else _counted(max(1, round(seconds)), "second")


@dataclass(frozen=True, kw_only=True)
class _Headline:
    """What is measured: ``result`` is its width and height, ``frames`` those of a turn."""

    result: tuple[int, int]
    systems: Sequence[System]
    device: Any
    turns: int
    frames: int

    def measure(self, backend: str) -> bool:
        """Measure the systems with one runtime, and print it; returns whether any could be measured."""
        import vapoursynth as vs

        from vscugan.clip.error_text import first_line

        contestants: dict[str, Contestant] = {}
        reasons: dict[str, str] = {}
        for system in self.systems:
            size, frames = system.source_size(self.result), self.frames * self.turns
            try:
                contestants[system.name] = system.ready(size, frames, backend=backend, device=self.device)
            except vs.Error as error:
                raise_swallowed()
                reasons[system.name] = first_line(error)
        seconds = seconds_a_frame(contestants, turns=self.turns, frames=self.frames)
        print(f"\n{backend}" + "".join(f" on {each.device}" for each in list(contestants.values())[:1]))
        if contestants:
            self._print_times(contestants, seconds)
        for name, reason in reasons.items():
            print(f"{name:<21} left out: {reason}")
        print(end="", flush=True)
        return bool(contestants)

    def _print_times(self, contestants: Mapping[str, Contestant], seconds: Mapping[str, list[float]]) -> None:
        """A row for each system that was measured."""
        measured = [system for system in self.systems if system.name in contestants]
        best = {system: min(seconds[system.name]) for system in measured}
        work = {system: system.giga_multiply_adds(system.source_size(self.result)) for system in measured}
        base = next((system for system in measured if system.published == 1), None)
        print(f"{'':<21} {'source':>9} s/frame published   time = work / speed  kMAC/px GMAC/frame GMAC/s")
        for system in measured:
            source = "{}x{}".format(*system.source_size(self.result))
            tile = contestants[system.name].report["tile"]
            if base is None:
                relative = "-"
            else:
                time, own_work = best[system] / best[base], work[system] / work[base]
                relative = f"{time:5.2f}x = {own_work:4.2f} / {own_work / time:5.2f}"
            print(
                f"{system.name:<21} {source:>9} {best[system]:7.3f} {system.published:8.1f}x {relative:<21} "
                f"{system.multiply_adds_a_px / 1000:7.1f} {work[system]:10.1f} {work[system] / best[system]:6.1f}  "
                f"{listed_times(seconds[system.name])}{'' if tile == 'whole' else f', in tiles of {tile}'}"
            )


def _planned(
    result: tuple[int, int], systems: Sequence[System], backends: Sequence[str], arguments: argparse.Namespace
) -> _Headline:
    """Say what is measured, and about how long it takes."""
    each = _seconds_a_giga(result, backends[0], arguments.device)
    of_a_frame = each * sum(system.giga_multiply_adds(system.source_size(result)) for system in systems)
    by_speed = min(MOST_FRAMES, max(1, round(TURN_S * len(systems) / of_a_frame)))
    frames = int(arguments.frames or by_speed)
    seconds = of_a_frame * len(backends) * (1 + arguments.turns * frames)  # the first frame is not measured
    print(
        f"{_counted(len(systems), 'system')} to {result[0]}x{result[1]}, {_counted(len(backends), 'runtime')}, "
        f"{_counted(arguments.turns, 'turn')} of {_counted(frames, 'frame')}: takes about {_duration(seconds)}\n"
        f"{LEGEND}",
        flush=True,
    )
    return _Headline(result=result, systems=systems, device=arguments.device, turns=arguments.turns, frames=frames)


def run_headline(arguments: argparse.Namespace) -> int:
    """Measure, and print as it goes; returns the exit code.

    Raises: ArgumentError where a source would have no whole px; vs.Error where Real-CUGAN can't be computed.
    """
    result = read_size(arguments.size or SIZE, MULTIPLE, SIZE)
    systems, missing = _installed(SYSTEMS)
    for name, reason in missing.items():
        print(f"{name} is left out: {reason}")
    backends, reasons = _working(arguments.backend, arguments.device)
    measured = False
    if backends:
        headline = _planned(result, systems, backends, arguments)
        for backend in backends:
            measured |= headline.measure(backend)
        print()
    for name, reason in reasons.items():
        print(f"{name:<12} not here: {reason}")
    return 0 if measured else 1
