"""Where a clip is cut."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Frames ``start`` to ``stop`` - 1 of the clip."""

    number: int
    start: int
    stop: int

    @property
    def frames(self) -> int:
        """How many frames."""
        return self.stop - self.start


def chunk_frames(seconds: float, frames_per_second: Fraction, grid: int) -> int:
    """The frames of a chunk of about so many seconds: a multiple of ``grid`` frames."""
    return max(1, round(seconds * frames_per_second / grid)) * grid


def cut(frames: int, step: int) -> tuple[Chunk, ...]:
    """A clip of so many frames in chunks of ``step``; the last has what remains."""
    return tuple(
        Chunk(number=number, start=start, stop=min(start + step, frames))
        for number, start in enumerate(range(0, frames, step))
    )
