"""Squeeze-and-excitation gates, in fp32 whatever the runtime computes in."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Gate


class GateLayers:
    """The parameters of a network's gates on a device."""

    def __init__(self, architecture: Architecture, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        self._parameters = {
            layer: (
                tensors[f"{layer}.weight"].to(device, torch.float32).flatten(1),
                tensors[f"{layer}.bias"].to(device, torch.float32),
            )
            for gate in architecture.gates
            for layer in gate.layers
        }

    def __call__(self, gate: Gate, mean: Tensor, alpha: float) -> Tensor:
        """(1, C) mean of the gate's map -> (1, C, 1, 1) gate, fp32, times ``alpha`` where the gate takes it."""
        squeeze, excite = (self._parameters[layer] for layer in gate.layers)
        squeezed = F.relu(F.linear(mean.to(torch.float32), *squeeze))
        gain = alpha if gate.takes_alpha else 1.0
        return (torch.sigmoid(F.linear(squeezed, *excite)) * gain)[:, :, None, None]
