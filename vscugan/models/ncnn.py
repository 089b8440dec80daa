"""Reader of ncnn ``.param``/``.bin`` pairs that hold an UpCunet.

A ``.param`` is text: a magic number, counts, and a line per layer. A ``.bin`` holds, for each layer with
weights in that order, a uint32 tag (fp16 or fp32), the weights, and the fp32 bias.
Source: ncnn's ``param-and-model-file-structure`` page; checked against the ncnn package by the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vscugan.errors import WeightsError
from vscugan.models.weight_file import RETRY

PARAM_MAGIC = "7767517"
TAG_FP16, TAG_FP32 = 0x01306B47, 0
#: parameter ids of ncnn's layers
OUTPUTS, KERNEL, BIAS, WEIGHTS = 0, 1, 5, 6
DENSE_BIAS, DENSE_WEIGHTS = 1, 2

#: UpCunet's layers in the order of the file.
LAYERS = tuple(
    f"unet1.{name}"
    for name in (
        "conv1.conv.0", "conv1.conv.2", "conv1_down", "conv2.conv.0", "conv2.conv.2",
        "conv2.seblock.conv1", "conv2.seblock.conv2", "conv2_up", "conv3", "conv_bottom",
    )
) + tuple(
    f"unet2.{name}"
    for name in (
        "conv1.conv.0", "conv1.conv.2", "conv1_down", "conv2.conv.0", "conv2.conv.2",
        "conv2.seblock.conv1", "conv2.seblock.conv2", "conv2_down", "conv3.conv.0", "conv3.conv.2",
        "conv3.seblock.conv1", "conv3.seblock.conv2", "conv3_up", "conv4.conv.0", "conv4.conv.2",
        "conv4.seblock.conv1", "conv4.seblock.conv2", "conv4_up", "conv5", "conv_bottom",
    )
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Layer:
    kind: str
    outputs: int
    kernel: int
    weights: int
    bias: bool


def _parse(text: str, path: Path) -> list[_Layer]:
    lines = text.split("\n")
    if lines[0].strip() != PARAM_MAGIC:
        raise WeightsError(f"{path} must begin with {PARAM_MAGIC}, got {lines[0].strip()[:20]!r}; {RETRY}")
    layers = []
    for number, line in enumerate(lines[2:], start=3):
        words = line.split()
        if not words or words[0] not in ("Convolution", "Deconvolution", "InnerProduct"):
            continue
        try:
            inputs, outputs = int(words[2]), int(words[3])
            pairs = (word.split("=", 1) for word in words[4 + inputs + outputs :])
            values = {int(key): int(value) for key, value in pairs if not key.startswith("-")}
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


def read_ncnn(param: bytes, data: bytes, path: Path) -> dict[str, Tensor]:
    """fp32 tensors by their official names, from the two files' bytes; ``path`` is for messages.

    Raises: WeightsError where either is not what an UpCunet's must be, to the last byte.
    """
    try:
        layers = _parse(param.decode("ascii"), path.with_suffix(".param"))
    except UnicodeDecodeError:
        raise WeightsError(f"{path.with_suffix('.param')} must be text, got binary data; {RETRY}") from None
    names = LAYERS + (("conv_final",) if len(layers) > len(LAYERS) else ())
    if len(layers) != len(names):
        raise WeightsError(
            f"{path} must hold UpCunet's {len(LAYERS)} or {len(LAYERS) + 1} layers, got {len(layers)}; {RETRY}"
        )
    tensors, at = {}, 0

    def take(count: int, kind: str) -> np.ndarray:
        nonlocal at
        size = count * np.dtype(kind).itemsize
        if at + size > len(data):
            raise WeightsError(f"{path} must be whole, got an end after {len(data)} bytes; {RETRY}")
        values = np.frombuffer(data, dtype=kind, count=count, offset=at)
        at += size
        return values

    for name, layer in zip(names, layers, strict=True):
        tag = int(take(1, "<u4")[0])
        if tag not in (TAG_FP16, TAG_FP32):
            raise WeightsError(f"{path} must hold fp16 or fp32 weights, got tag {tag:#010x} at {name}; {RETRY}")
        values = take(layer.weights, "<f2" if tag == TAG_FP16 else "<f4").astype(np.float32)
        at += -at % 4
        inputs = layer.weights // (layer.outputs * layer.kernel * layer.kernel)
        weight = torch.from_numpy(values).reshape(layer.outputs, inputs, layer.kernel, layer.kernel)
        # ncnn keeps (out, in), torch's transposed convolution wants (in, out)
        tensors[f"{name}.weight"] = weight.transpose(0, 1).contiguous() if layer.kind == "Deconvolution" else weight
        if layer.bias:
            tensors[f"{name}.bias"] = torch.from_numpy(take(layer.outputs, "<f4").astype(np.float32))
    if at != len(data):
        raise WeightsError(f"{path} must end after {at} bytes, got {len(data)}; {RETRY}")
    return tensors
