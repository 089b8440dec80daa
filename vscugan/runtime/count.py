"""The stages on shapes alone: how many multiply-adds each takes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle

from vscugan.models.weights import Weights
from vscugan.network import ARCHITECTURES, SE_MAPS, crop, run_stage
from vscugan.tiling.geometry import round_up


class _Counter:
    """The stages' operators without pixels."""

    def __init__(self, weights: Weights) -> None:
        self._tensors, self._architecture = weights.tensors, ARCHITECTURES[weights.scale]
        self.total = 0

    def convolution(self, layer: str, x: Tensor, activate: bool) -> Tensor:
        weight = self._tensors[f"{layer}.weight"]
        kernel = weight.shape[2]
        if enlarging := self._architecture.enlarging(layer):
            stride, padding = enlarging
            self.total += weight.numel() * x.shape[2] * x.shape[3]
            size = [(s - 1) * stride - 2 * padding + kernel for s in x.shape[2:]]
            return torch.empty(1, weight.shape[1], *size, device="meta")
        stride = 2 if layer.endswith("_down") else 1
        size = [(s - kernel) // stride + 1 for s in x.shape[2:]]
        self.total += weight.numel() * size[0] * size[1]
        return torch.empty(1, weight.shape[0], *size, device="meta")

    def pixel_shuffle(self, x: Tensor, factor: int) -> Tensor:
        return pixel_shuffle(x, factor)

    def repeat_pixels(self, x: Tensor, factor: int) -> Tensor:
        return torch.empty(1, 3, x.shape[2] * factor, x.shape[3] * factor, device="meta")


def multiply_adds(weights: Weights, height: int, width: int) -> list[int]:
    """Multiply-adds of the convolutions of each stage, for a whole frame of ``height`` x ``width``."""
    architecture = ARCHITECTURES[weights.scale]
    edge = 2 * architecture.pad_px
    size = [round_up(s, architecture.multiple) + edge for s in (height, width)]
    maps = {"input": torch.empty(1, 3, *size, device="meta")}
    gates: list[Tensor] = []
    counts = []
    for k, stage in enumerate(architecture.stages(keep_skips=True)):
        counter = _Counter(weights)
        maps |= run_stage(architecture, k, counter, {n: crop(maps[n], px) for n, px in stage.reads.items()}, gates)
        counts.append(counter.total)
        if k < len(SE_MAPS):
            gates.append(torch.empty(1, maps[SE_MAPS[k]].shape[1], 1, 1, device="meta"))
    return counts
