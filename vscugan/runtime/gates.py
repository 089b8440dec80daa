"""Squeeze-and-excitation gates by torch, in fp32 whatever the runtime computes in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Gate


def map_sums(part: Tensor, sum_dtype: torch.dtype) -> Tensor:
    """(1, C, h, w) -> (1, C) sums in ``sum_dtype``: rows in fp32, columns in it, as exact as the whole in double."""
    if part.stride(1) == 1:  # channels last: 30 times as fast as sum(3)
        return part.permute(0, 2, 3, 1).sum(2, dtype=torch.float32).sum(1, dtype=sum_dtype)
    return part.sum(3, dtype=torch.float32).sum(2, dtype=sum_dtype)


def _dense(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A dense layer on (1, C)."""
    if x.device.type != "cuda":
        return F.linear(x, weight, bias)
    return (weight * x).sum(1)[None] + bias  # without cuBLAS: see ``cuda_graphs``


class GateLayers:
    """The parameters of a network's gates on a device."""

    def __init__(
        self,
        architecture: Architecture,
        tensors: Mapping[str, NDArray[np.float32]],
        device: torch.device = torch.device("cpu"),  # noqa: B008  never written to
    ) -> None:
        self._parameters = {
            layer: (
                torch.from_numpy(tensors[f"{layer}.weight"]).to(device).flatten(1),
                torch.from_numpy(tensors[f"{layer}.bias"]).to(device),
            )
            for gate in architecture.gates
            for layer in gate.layers
        }

    def __call__(self, gate: Gate, mean: Tensor, alpha: float) -> Tensor:
        """(1, C) mean of the gate's map -> (1, C, 1, 1) gate, fp32, times ``alpha`` where the gate takes it."""
        squeeze, excite = (self._parameters[layer] for layer in gate.layers)
        squeezed = F.relu(_dense(mean.to(torch.float32), *squeeze))
        gain = alpha if gate.takes_alpha else 1.0
        return (torch.sigmoid(_dense(squeezed, *excite)) * gain)[:, :, None, None]
