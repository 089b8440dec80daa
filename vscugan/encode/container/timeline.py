"""When the frames of a video are shown."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


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
