"""int8: which convolutions of a released model are quantised, and how; the table is written by ``scripts/quantise.py``.

Of a file with all noise levels one row is for all, and for each strength.

A quantised convolution reads its input in 256 levels of one range and has its weight in 255 levels for each
channel that it writes. Three things keep the picture close to fp32:

- Channels are brought to like ranges. A leaky ReLU is positively homogeneous, so what a layer writes can be
  multiplied by any positive factor for each channel where its readers divide by it. With powers of two the network
  stays the same to the last bit.
- Biases hold the mean error of each layer, as measured on drawn pictures.
- Layers that cost most of the quality for the time that they save stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vscugan.errors import ArgumentError
from vscugan.models.weights import Weights

TABLE = Path(__file__).parent / "int8.json"
#: What the worst held-out picture must have against fp32, in dB.
LOWEST_PSNR = 45.0
_OTHERS = "auto, fp32, fp16 or bf16"


@dataclass(frozen=True, kw_only=True)
class Range:
    """What a convolution's input is rounded in: 256 levels from ``low`` to ``high``, one of them 0."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        """One level."""
        return (self.high - self.low) / 255

    @property
    def zero_point(self) -> int:
        """The level that is 0."""
        return round(-self.low / self.scale)


@dataclass(frozen=True, kw_only=True)
class Quantisation:
    """How one model is quantised.

    ``layers``: the quantised layers with the ranges of their inputs. ``exponents``: by the first writer of each
    ``Channels`` of the architecture, the power of two that each channel is multiplied by. ``biases``: of the quantised
    layers, for the multiplied channels.
    """

    layers: Mapping[str, Range]
    exponents: Mapping[str, Sequence[int]]
    biases: Mapping[str, Sequence[float]]


@cache
def table() -> dict[str, dict[str, Any]]:
    """The rows of the table by model: its sha256, the figures of its held-out pictures, and its quantisation."""
    return dict(json.loads(TABLE.read_text(encoding="utf-8")))


def quantisation_of(weights: Weights) -> Quantisation:
    """The quantisation of a released model.

    Raises: ArgumentError where none is known for these weights, or a held-out picture came out too coarse.
    """
    row = next((row for row in table().values() if _is_of(row, weights)), None)
    if row is None:
        raise ArgumentError(
            f"precision must be {_OTHERS} for weights that int8 was not measured with, got int8; "
            "use one of these, or model=se"
        )
    if row["worst_psnr"] < LOWEST_PSNR:
        raise ArgumentError(
            f"precision must be {_OTHERS} for {weights.source}, got int8; its worst picture has "
            f"{row['worst_psnr']:.1f} dB to fp32 in int8 and must have {LOWEST_PSNR:g}, use bf16 or fp32"
        )
    return parse(row)


def _is_of(row: Mapping[str, Any], weights: Weights) -> bool:
    """Whether a row was measured with these weights; the scales in one file have a row each."""
    architecture = weights.architecture.name
    return bool(row["sha256"] == weights.sha256 and row.get("architecture", architecture) == architecture)


def parse(row: Mapping[str, Any]) -> Quantisation:
    """A row of the table."""
    layers = {layer: Range(low=low, high=high) for layer, (low, high) in row["ranges"].items()}
    return Quantisation(layers=layers, exponents=row["exponents"], biases=row["biases"])


def scaled(weights: Weights, exponents: Mapping[str, Sequence[int]]) -> Weights:
    """The same network with its channels multiplied by powers of two; see ``Quantisation``."""
    tensors, rows = dict(weights.tensors), weights.architecture.layer

    def multiply(name: str, factors: NDArray[np.float32], axis: int) -> None:
        shape = [1] * tensors[name].ndim
        shape[axis] = -1
        tensors[name] = tensors[name] * factors.reshape(shape)

    for channels in weights.architecture.channels:
        if channels.writers[0] not in exponents:
            continue
        factors = np.exp2(np.array(exponents[channels.writers[0]], np.float32))
        for layer in channels.writers:
            multiply(f"{layer}.weight", factors, rows[layer].output_axis)
            multiply(f"{layer}.bias", factors, 0)
        for layer in channels.readers:
            multiply(f"{layer}.weight", np.reciprocal(factors), 1 - rows[layer].output_axis)
    return replace(weights, tensors=tensors)


def prepared(weights: Weights, quantisation: Quantisation) -> Weights:
    """The weights that a quantised graph is written from: channels multiplied, biases corrected, still fp32."""
    like = scaled(weights, quantisation.exponents)
    biases = {f"{layer}.bias": np.array(values, np.float32) for layer, values in quantisation.biases.items()}
    return replace(like, tensors={**like.tensors, **biases})


def quantised_weight(weight: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A weight's codes in -127..127, and the scale of each channel along ``axis``."""
    others = tuple(a for a in range(4) if a != axis)
    scales = np.asarray(np.abs(weight).max(axis=others) / 127, np.float32)
    shape = [1] * 4
    shape[axis] = -1
    return np.asarray(np.rint(weight / scales.reshape(shape)), np.int8), scales
