"""Noise levels of files that have all of them: the weights of a level, or of a mix of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

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


def at_level(tensors: Mapping[str, Tensor], levels: Sequence[str], level: str | float) -> dict[str, Tensor]:
    """The fp32 tensors of a file, (levels, ...) each -> those of the network of one level, or of a mix."""
    each = torch.tensor(shares(levels, level))
    return {name: (tensor.movedim(0, -1) * each).sum(-1).contiguous() for name, tensor in tensors.items()}
