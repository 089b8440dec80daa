"""The network of ``model="fast"`` in plain torch, without any code of vscugan's."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

LEVELS = ("conservative", "no-denoise", "denoise1x", "denoise2x", "denoise3x")


class HalfUNet(nn.Module):
    """One noise level, from the file of all; sizes are filled up to multiples of 4 by repeated pixels."""

    def __init__(self, scale: int, level: str, path: Path) -> None:
        super().__init__()
        self.scale, self._tensors = scale, {name: tensor.float() for name, tensor in load_file(path).items()}
        self._level = LEVELS.index(level)

    def _layer(self, name: str, x: Tensor, **window: int) -> Tensor:
        weight, gain, bias = (self._tensors[f"{name}.{kind}"] for kind in ("weight", "gain", "bias"))
        y = F.conv2d(x, weight, stride=window.get("stride", 1), padding=window.get("padding", 1))
        return y * gain[self._level][:, None, None] + bias[self._level][:, None, None]

    def _enlarged(self, x: Tensor) -> Tensor:
        y = F.conv_transpose2d(x, self._tensors["up.weight"], stride=2)
        gain, bias = (self._tensors[f"up.{kind}"][self._level][:, None, None] for kind in ("gain", "bias"))
        return y * gain + bias

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % 4, 0, -height % 4), "replicate")
        first = self._layer("first", x, stride=2, padding=2).relu()
        before = self._layer("before", first).relu()
        y = self._layer("down", before, stride=2, padding=0).relu()
        for k in range(sum(name.startswith("middle.") for name in self._tensors) // 3):
            y = self._layer(f"middle.{k}", y).relu()
        x = first + self._layer("after", before + self._enlarged(y)).relu()
        y = F.pixel_shuffle(self._layer("last" if self.scale == 2 else "last_1x", x), 2 * self.scale)
        return y[:, :, : self.scale * height, : self.scale * width]
