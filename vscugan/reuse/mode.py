"""What every way of reuse is to the clip's stage that reads the source frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vscugan.engine.engine import Spent


@dataclass(frozen=True, kw_only=True)
class SourceFrame:
    """A frame of the source: (3, H, W) fp32 RGB, its own memory, which nobody writes to."""

    rgb: NDArray[np.float32]
    cut: bool | None = None  #: whether a scene begins with it, None where no prop says so


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a result goes: three planes (scale*H, scale*W), and the frame of the host that they belong to."""

    planes: Sequence[NDArray[np.float32]]
    frame: object


#: What ``compute`` returns: the frames that must be read first; or else the earlier ``Target.frame`` whose planes are
#: the result, None where the target was written, and the frame props that say what was reused.
Answer = list[int] | tuple[object, dict[str, int | float]]


class Mode(ABC):
    """Makes output frames of source frames. Safe to call from several threads.

    ``reads_others``: whether a frame may need other source frames than its own.
    """

    reads_others = False

    def begin(self, n: int) -> None:  # noqa: B027  nothing to keep, for most
        """Frame ``n`` will be asked for; ``end`` follows, whatever happens."""

    def end(self, n: int) -> None:  # noqa: B027  see begin
        """Frame ``n`` is there, or was given up."""

    @abstractmethod
    def compute(
        self, n: int, sources: Mapping[int, SourceFrame], target: Target, unreadable: Mapping[int, str]
    ) -> Answer:
        """Make frame ``n``.

        ``sources``: at first frame ``n``, then the frames that the call before has asked for; ``unreadable``: why
        those of them can't be read that are missing there.
        Raises: as ``Engine.upscale``; FrameError where another frame could be read before, and now can't.
        """

    def close(self) -> str:
        """Free what is kept, and return what was saved, in words; empty where nothing was."""
        return ""


@dataclass(kw_only=True)
class Counts:
    """Frames of a clip that were finished. Its callers see to threads."""

    frames: int = 0
    whole: int = 0  #: of them computed whole
    computed: float = 0.0  #: in frames

    def summary(self, spent: Spent) -> str:
        """The summary, where something was saved; how much time only where it is known what a whole frame costs."""
        if self.computed >= self.frames:
            return ""
        text = f"reuse: {self.frames} frames, {self.computed / self.frames:.0%} of their pixels computed"
        if not spent.whole_frames:
            return text
        saved = (self.frames - self.whole) * spent.whole_s / spent.whole_frames - spent.part_s
        return f"{text}, about {max(saved, 0):.0f} s saved"
