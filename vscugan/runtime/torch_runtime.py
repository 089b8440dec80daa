"""The torch runtime: one network's parameters on one device in one precision."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from vscugan.network import ARCHITECTURES, LEAKY_SLOPE, SE_BLOCKS, run_stage

#: layers that enlarge: (stride, padding); UNet1's tail comes from the architecture
_ENLARGING = ("unet1.conv2_up", "unet2.conv3_up", "unet2.conv4_up")


class TorchRuntime:
    """Runs stages with torch; channels last, as every fast convolution of torch wants it.

    ``tensors``: the fp32 state dict of UpCunet by its official names. The SE gates are computed in fp32
    whatever ``dtype`` is.
    """

    memory_format = torch.channels_last

    def __init__(
        self, tensors: Mapping[str, Tensor], *, scale: int, pro: bool, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.architecture = ARCHITECTURES[scale]
        self.pro, self.device, self.dtype = pro, device, dtype
        self.sum_dtype = torch.float32 if device.type == "mps" else torch.float64
        self._weights: dict[str, Tensor] = {}
        self._biases: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            layer, _, kind = name.rpartition(".")
            gate = layer.rpartition(".")[0] in SE_BLOCKS
            value = tensor.to(device, torch.float32 if gate else dtype)
            if kind == "bias":
                self._biases[layer] = value
            else:
                self._weights[layer] = value if gate else value.contiguous(memory_format=self.memory_format)
        tail = self.architecture
        self._enlarge = dict.fromkeys(_ENLARGING, (2, 0))
        if tail.tail_stride > 1:
            self._enlarge["unet1.conv_bottom"] = (tail.tail_stride, tail.tail_padding)

    def convolution(self, layer: str, x: Tensor, activate: bool) -> Tensor:
        """One layer of the network, with its leaky ReLU when ``activate``."""
        weight, bias = self._weights[layer], self._biases[layer]
        x = x.contiguous(memory_format=self.memory_format)
        if layer in self._enlarge:
            stride, padding = self._enlarge[layer]
            y = F.conv_transpose2d(x, weight, bias, stride=stride, padding=padding)
        else:
            y = F.conv2d(x, weight, bias, stride=2 if layer.endswith("_down") else 1)
        return F.leaky_relu_(y, LEAKY_SLOPE) if activate else y

    def run_stage(self, stage: int, read: Mapping[str, Tensor], gates: list[Tensor]) -> dict[str, Tensor]:
        """See ``vscugan.network.run_stage``."""
        return run_stage(self.architecture, stage, self.convolution, read, gates)

    def gate(self, block: str, mean: Tensor, gain: float) -> Tensor:
        """The (1, C, 1, 1) gate of an SE block from the (1, C) mean of its map, times ``gain``."""
        x = mean.to(torch.float32)
        w1, w2 = (self._weights[f"{block}.conv{i}"].flatten(1) for i in (1, 2))
        b1, b2 = (self._biases[f"{block}.conv{i}"] for i in (1, 2))
        gate = torch.sigmoid(F.linear(F.relu(F.linear(x, w1, b1)), w2, b2)) * gain
        return gate.to(self.dtype)[:, :, None, None]
