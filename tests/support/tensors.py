"""torch's tensors on the CPU, as the engine's arrays and as weights."""

from __future__ import annotations

import torch
from torch import Tensor

from vscugan.models.weights import Weights
from vscugan.runtime.torch_arrays import TorchArrays

TENSORS = TorchArrays(torch.device("cpu"), torch.float32, torch.contiguous_format)


def tensors_of(weights: Weights) -> dict[str, Tensor]:
    """A network's weights as torch has them."""
    return {name: torch.from_numpy(values) for name, values in weights.tensors.items()}
