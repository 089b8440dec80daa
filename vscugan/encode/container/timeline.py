"""When the frames of a video are shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from vscugan.errors import ArgumentError


def moment(name: str, text: str) -> Fraction | int | None:
    """A time in s, written so or as H:MM:SS, or the number of a frame, written as 2160f; None for nothing.

    Raises: ArgumentError; ``name`` is for its message.
    """
    if not text:
        return None
    if found := re.fullmatch(r"(\d+)f", text):
        return int(found[1])
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text):
        raise ArgumentError(f"{name} must be a time or a frame, got {text}; write it as 90, 1:30.5, 0:01:30 or 2160f")
    return sum((Fraction(part) * 60**k for k, part in enumerate(reversed(text.split(":")))), Fraction())


@dataclass(frozen=True, kw_only=True)
class Span:
    """A part of a file, from ``start`` on and before ``stop``, in s of its timestamps."""

    start: Fraction
    stop: Fraction


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """When each frame is shown, in ticks of ``base`` seconds, and how long the last one stays."""

    base: Fraction
    ticks: tuple[int, ...]
    last_ticks: int

    @property
    def is_constant(self) -> bool:
        """Whether the frames have one distance, but for the rounding to ticks or, where remuxed, milliseconds."""
        if len(self.ticks) < 3:
            return True
        step = (self.ticks[-1] - self.ticks[0]) / (len(self.ticks) - 1)
        loose = max(1, float(1 / (1000 * self.base)))
        return all(abs(tick - self.ticks[0] - n * step) <= loose for n, tick in enumerate(self.ticks))
