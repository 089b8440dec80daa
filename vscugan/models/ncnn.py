"""Reader of ncnn ``.param``/``.bin`` pairs that hold one of our architectures.

A ``.param`` is text: a magic number, counts, and a line per layer. A ``.bin`` holds, for each layer with
weights in that order, a uint32 tag (fp16 or fp32), the weights, and the fp32 bias; for a PReLU its fp32 slopes.
Source: ncnn's ``param-and-model-file-structure`` page; checked against the ncnn package by the tests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vscugan.architectures.architecture import Architecture
from vscugan.errors import WeightsError
from vscugan.models.stored_tensors import StoredTensor
from vscugan.models.weight_file import RETRY
from vscugan.option_values import listed

PARAM_MAGIC = "7767517"
TAG_FP16, TAG_FP32 = 0x01306B47, 0
#: parameter ids of ncnn's layers
OUTPUTS, KERNEL, BIAS, WEIGHTS = 0, 1, 5, 6
DENSE_BIAS, DENSE_WEIGHTS = 1, 2
BICUBIC = 3  #: of Interp's kinds


@dataclass(frozen=True, kw_only=True)
class _Layer:
    kind: str
    outputs: int
    kernel: int
    weights: int
    bias: bool
    slopes: int = 0  #: of a PReLU behind it


def _parse(text: str, path: Path) -> list[_Layer]:
    lines = text.split("\n")
    if lines[0].strip() != PARAM_MAGIC:
        raise WeightsError(f"{path} must begin with {PARAM_MAGIC}, got {lines[0].strip()[:20]!r}; {RETRY}")
    layers: list[_Layer] = []
    for number, line in enumerate(lines[2:], start=3):
        words = line.split()
        if not words or words[0] not in ("Convolution", "Deconvolution", "InnerProduct", "PReLU"):
            continue
        try:
            inputs, outputs = int(words[2]), int(words[3])
            pairs = (word.split("=", 1) for word in words[4 + inputs + outputs :])
            values = {int(key): int(value) for key, value in pairs if not key.startswith("-")}
            if words[0] == "PReLU":
                layers[-1] = replace(layers[-1], slopes=values[OUTPUTS])
                continue
            dense = words[0] == "InnerProduct"
            layer = _Layer(
                kind=words[0],
                outputs=values[OUTPUTS],
                kernel=1 if dense else values[KERNEL],
                weights=values[DENSE_WEIGHTS if dense else WEIGHTS],
                bias=bool(values.get(DENSE_BIAS if dense else BIAS, 0)),
            )
        except (IndexError, KeyError, ValueError):
            raise WeightsError(f"{path} must be an ncnn param file, got a bad line {number}; {RETRY}") from None
        per_output = layer.outputs * layer.kernel * layer.kernel
        if min(layer.outputs, layer.kernel, layer.weights) <= 0 or layer.weights % per_output:
            raise WeightsError(f"{path} must have layers that add up, got others in line {number}; {RETRY}")
        layers.append(layer)
    return layers


def _with_layers(count: int, architectures: Sequence[Architecture], path: Path) -> Architecture:
    """The first architecture that has as many layers."""
    found = next((row for row in architectures if len(row.layers_in_files) == count), None)
    if found is not None:
        return found
    known = list(dict.fromkeys(f"{len(row.layers_in_files)} ({row.family})" for row in architectures))
    raise WeightsError(f"{path} must hold {listed(known)} layers, got {count}; {RETRY}")


def resizing_of(param: bytes) -> Fraction:
    """By what a pair's network resizes its picture with bicubic interpolation, as animevideo's for 2x and 3x do."""
    factor = Fraction(1)
    for line in param.decode("ascii").splitlines():
        if line.startswith("Interp ") and f" 0={BICUBIC} " in line:
            found = re.search(r" 1=(\d{1,4}\.?\d{0,9})(e[+-]\d{1,2})?(?= |$)", line)
            factor *= Fraction("".join(filter(None, found.groups()))).limit_denominator(16) if found else 1
    return factor


def read_ncnn(
    param: bytes, data: bytes, path: Path, architectures: Sequence[Architecture]
) -> dict[str, StoredTensor]:
    """Tensors by their official names, from the two files' bytes; ``path`` is for messages.

    Names and order are those of the first of ``architectures`` that has as many layers as the file.
    Raises: WeightsError where either is not what it must be, to the last byte.
    """
    try:
        layers = _parse(param.decode("ascii"), path.with_suffix(".param"))
    except UnicodeDecodeError:
        raise WeightsError(f"{path.with_suffix('.param')} must be text, got binary data; {RETRY}") from None
    rows = _with_layers(len(layers), architectures, path).layers_in_files
    tensors, at = {}, 0

    def take(count: int, kind: str) -> np.ndarray:
        nonlocal at
        size = count * np.dtype(kind).itemsize
        if at + size > len(data):
            raise WeightsError(f"{path} must be whole, got an end after {len(data)} bytes; {RETRY}")
        values = np.frombuffer(data, dtype=kind, count=count, offset=at)
        at += size
        return values

    for row, layer in zip(rows, layers, strict=True):
        name = row.name
        tag = int(take(1, "<u4")[0])
        if tag not in (TAG_FP16, TAG_FP32):
            raise WeightsError(f"{path} must hold fp16 or fp32 weights, got tag {tag:#010x} at {name}; {RETRY}")
        values = take(layer.weights, "<f2" if tag == TAG_FP16 else "<f4").astype(np.float32)
        at += -at % 4
        inputs = layer.weights // (layer.outputs * layer.kernel * layer.kernel)
        weight = values.reshape(layer.outputs, inputs, layer.kernel, layer.kernel)
        # ncnn keeps (out, in), torch's transposed convolution wants (in, out)
        tensors[f"{name}.weight"] = weight.swapaxes(0, 1).copy() if layer.kind == "Deconvolution" else weight
        if layer.bias:
            tensors[f"{name}.bias"] = take(layer.outputs, "<f4").astype(np.float32)
        if layer.slopes:
            slopes = take(layer.slopes, "<f4").astype(np.float32)
            tensors[row.slopes or f"{name}.slopes"] = slopes
    if at != len(data):
        raise WeightsError(f"{path} must end after {at} bytes, got {len(data)}; {RETRY}")
    return {name: StoredTensor.of(values) for name, values in tensors.items()}
