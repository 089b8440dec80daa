"""What the measurements of ``vscugan benchmark`` share: a clip whose frames all differ, and the turns, A B A B."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vscugan.errors import ArgumentError


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A clip that is measured, its first frames being computed already, and what computes it (see ``describe``)."""

    clip: Any
    report: Mapping[str, str]

    @property
    def device(self) -> str:
        """The device and the precision."""
        return f"{self.report['device']}, {self.report['precision']}"


def warm_frames() -> int:
    """Frames of a clip that are not measured: on CUDA each of two slots captures its graph after some of them."""
    from vscugan.runtime.cuda_graphs import FRAMES_BEFORE_CAPTURE

    return 2 * FRAMES_BEFORE_CAPTURE + 1


def read_size(text: str, multiple: int, example: str) -> tuple[int, int]:
    """Width and height.

    Raises: ArgumentError where they are no multiples.
    """
    try:
        width, height = map(int, text.split("x"))
    except ValueError:
        width = height = 0
    if min(width, height) < multiple or width % multiple or height % multiple:
        numbers = "even numbers" if multiple == 2 else f"multiples of {multiple}"
        raise ArgumentError(f"size must be WIDTHxHEIGHT of {numbers}, got {text}; use {example}")
    return width, height


def check_count(name: str, value: int) -> None:
    """Raise ArgumentError for less than one."""
    if value < 1:
        raise ArgumentError(f"{name} must be at least 1, got {value}; leave it out for the default")


def moving_clip(width: int, height: int, *, frames: int, format: int) -> Any:
    """A clip of YUV in 8 bit, long enough for ``frames`` that are measured.

    Each frame has another colour, so that none is like the one before; a network's time does not depend on it.
    """
    import vapoursynth as vs

    core = vs.core
    blank = core.std.BlankClip(format=format, width=width, height=height, length=warm_frames() + frames, keep=True)
    return core.std.FrameEval(
        blank, lambda n: core.std.BlankClip(blank, length=1, color=[40 + n % 160, 100 + n % 50, 128])
    )


def compute(clip: Any) -> None:
    """Compute all frames of a clip."""
    for frame in clip.frames(close=True):
        frame.close()


def make_ready(source: Any, **options: Any) -> Contestant:
    """Upscale a clip with these options, and compute what is not measured.

    Raises: vs.Error where that can't be done here.
    """
    from vscugan.clip.upscale import describe, upscale

    clip = upscale(source, report=True, **options)
    report = describe(clip)
    if report["device"].startswith("cuda"):  # elsewhere the one frame that was described is enough
        compute(clip[1 : warm_frames()])
    return Contestant(clip=clip, report=report)


def seconds_a_frame(
    contestants: Mapping[str, Contestant], *, turns: int, frames: int, warm: bool = False
) -> dict[str, list[float]]:
    """Compute clips in turns, A B A B: what a frame of each took in each turn, in s, by the clips' names.

    ``warm``: compute a frame before each turn that does not count, as an encode has no pauses.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns):
        for name, contestant in contestants.items():
            first = warm_frames() + turn * frames
            if warm:
                compute(contestant.clip[first - 1 : first])
            start = time.perf_counter()
            compute(contestant.clip[first : first + frames])
            seconds[name].append((time.perf_counter() - start) / frames)
    return seconds


def listed_times(times: list[float]) -> str:
    """Each turn's time."""
    return f"({', '.join(f'{t:.3f}' for t in times)})"
