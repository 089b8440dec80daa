"""The network of ``model="fast"`` in plain torch, without any code of vscugan's."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

LEVELS = ("conservative", "no-denoise", "denoise1x", "denoise2x", "denoise3x")


class HalfNet(nn.Module):
    """One noise level, from the file of all; odd sizes are filled up by repeated pixels."""

    def __init__(self, scale: int, level: str, path: Path) -> None:
        super().__init__()
        self.scale, self._tensors = scale, {name: tensor.float() for name, tensor in load_file(path).items()}
        self._level = LEVELS.index(level)

    def _layer(self, name: str, x: Tensor, stride: int = 1, padding: int = 1) -> Tensor:
        weight, bias = (self._tensors[f"{name}.{kind}"][self._level] for kind in ("weight", "bias"))
        return F.conv2d(x, weight, bias, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x = F.pad(x, (0, width % 2, 0, height % 2), "replicate")
        first = y = self._layer("first", x, stride=2, padding=2).relu()
        for k in range(sum(name.startswith("middle.") for name in self._tensors) // 2):
            y = self._layer(f"middle.{k}", y).relu()
        y = F.pixel_shuffle(self._layer("last" if self.scale == 2 else "last_1x", first + y), 2 * self.scale)
        return y[:, :, : self.scale * height, : self.scale * width]
