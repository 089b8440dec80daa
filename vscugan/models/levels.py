"""Noise levels of files that have all of them: the weights of a level, or of a mix of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vscugan.models.registry import STRENGTHS


def shares(levels: Sequence[str], level: str | float) -> tuple[float, ...]:
    """How much of each of ``levels`` there is in a level's name, or in a strength in 0..3; they sum to 1.

    Strengths lie on straight lines between those of ``STRENGTHS``.
    """
    if isinstance(level, str):
        return tuple(float(name == level) for name in levels)
    below = min(int(level), len(STRENGTHS) - 2)
    part = level - below
    parts = {STRENGTHS[below]: 1 - part, STRENGTHS[below + 1]: part}
    return tuple(parts.get(name, 0.0) for name in levels)


def level_text(level: str | float) -> str:
    """A level for people, the same for strengths that are levels."""
    if isinstance(level, str):
        return level
    return STRENGTHS[int(level)] if level == int(level) else f"strength={level}"


def at_level(
    tensors: Mapping[str, NDArray[np.float32]], levels: Sequence[str], level: str | float
) -> dict[str, NDArray[np.float32]]:
    """The fp32 tensors of a file, (levels, ...) each -> those of the network of one level, or of a mix."""
    each = np.array(shares(levels, level), np.float32)
    return {name: np.ascontiguousarray((np.moveaxis(t, 0, -1) * each).sum(-1)) for name, t in tensors.items()}
