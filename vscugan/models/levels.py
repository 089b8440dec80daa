"""Noise levels of files that have all of them: a level, or a mix of two, becomes an ordinary network's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vscugan.architectures.architecture import Architecture
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


def fused(tensors: Mapping[str, Tensor], architecture: Architecture, level: str | float) -> dict[str, Tensor]:
    """The fp32 tensors of a file with all levels -> those of an ordinary network of one level, all scales in them."""
    each = torch.tensor(shares(architecture.levels, level))[:, None]
    of_level = {}
    for layer in architecture.layers_in_files:
        gain, bias = ((tensors[f"{layer.name}.{kind}"] * each).sum(0) for kind in ("gain", "bias"))
        shape = [1] * 4
        shape[layer.output_axis] = -1
        of_level[f"{layer.name}.weight"] = tensors[f"{layer.name}.weight"] * gain.reshape(shape)
        of_level[f"{layer.name}.bias"] = bias
    return of_level
