"""The gates of the squeeze-and-excitation blocks, in fp32 whatever the runtime computes in."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from vscugan.network import SE_BLOCKS


class Gates:
    """The parameters of the four SE blocks on a device."""

    def __init__(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        self._parameters = {
            name: tensor.to(device, torch.float32).flatten(1) if name.endswith("weight") else tensor.to(device)
            for name, tensor in tensors.items()
            if name.startswith(SE_BLOCKS)
        }

    def __call__(self, block: str, mean: Tensor, gain: float) -> Tensor:
        """(1, C) mean of the block's map -> (1, C, 1, 1) gate, times ``gain``, fp32."""
        w1, b1, w2, b2 = (self._parameters[f"{block}.conv{i}.{kind}"] for i in (1, 2) for kind in ("weight", "bias"))
        squeezed = F.relu(F.linear(mean.to(torch.float32), w1, b1))
        return (torch.sigmoid(F.linear(squeezed, w2, b2)) * gain)[:, :, None, None]
