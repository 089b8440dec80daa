"""The published networks of waifu2x and Real-ESRGAN as torch modules, with a reader of ncnn's weights of their own.

They share no code with vscugan. Layers are registered in the order in which they run, which is that of ncnn's files, so
that a ``.bin`` is read from the modules' own shapes alone and must end with the last of them. waifu2x's pictures are
padded by reflection, as Real-CUGAN's are; its own programs repeat the last pixel.

Sources: waifu2x's CUNet and UpConv7 (nagadomi, MIT), "Real-ESRGAN" (Wang et al., 2021) with its RRDB generator of
"ESRGAN" (2018) and its compact SRVGG generator; what the files' ``.param`` say of kernels, activations and resizing.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _leaky(layer: nn.Module, slope: float = 0.1) -> nn.Sequential:
    return nn.Sequential(layer, nn.LeakyReLU(slope))


def _half(channels: int) -> nn.Sequential:
    return _leaky(nn.Conv2d(channels, channels, 2, 2))


def _twice(channels: int) -> nn.Sequential:
    return _leaky(nn.ConvTranspose2d(channels, channels, 2, 2))


def _cropped(x: Tensor, px: int) -> Tensor:
    return x[:, :, px:-px, px:-px]


class _Excited(nn.Module):
    """Two 3x3 convolutions, and each channel by a factor that follows from the means of all."""

    def __init__(self, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        self.pair = _pair(inputs, middle, outputs)
        self.factors = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(outputs, outputs // 8, 1),
            nn.ReLU(),
            nn.Conv2d(outputs // 8, outputs, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.pair(x)
        found: Tensor = x * self.factors(x)
        return found


def _pair(inputs: int, middle: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_leaky(nn.Conv2d(inputs, middle, 3)), _leaky(nn.Conv2d(middle, outputs, 3)))


class CUNet(nn.Module):
    """waifu2x's two U-Nets, the second of which corrects the first: 1x and 2x."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.pad, self.multiple = (28, 4) if scale == 1 else (18, 2)
        self.first = _pair(3, 32, 64)
        self.first_inner = nn.Sequential(_half(64), _Excited(64, 128, 64), _twice(64))
        self.first_end = nn.Sequential(
            _leaky(nn.Conv2d(64, 64, 3)),
            nn.Conv2d(64, 3, 3) if scale == 1 else nn.ConvTranspose2d(64, 3, 4, 2, padding=3),
        )
        self.second = _pair(3, 32, 64)
        self.middle = nn.Sequential(_half(64), _Excited(64, 64, 128))
        self.deepest = nn.Sequential(_half(128), _Excited(128, 256, 128), _twice(128))
        self.second_inner = nn.Sequential(_Excited(128, 64, 64), _twice(64))
        self.second_end = nn.Sequential(_leaky(nn.Conv2d(64, 64, 3)), nn.Conv2d(64, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        right, bottom = -width % self.multiple, -height % self.multiple
        x = F.pad(x, (self.pad, self.pad + right, self.pad, self.pad + bottom), "reflect")
        x = self.first(x)
        coarse = self.first_end(_cropped(x, 4) + self.first_inner(x))
        x = self.second(coarse)
        middle = self.middle(x)
        inner = self.second_inner(_cropped(middle, 4) + self.deepest(middle))
        x = self.second_end(_cropped(x, 16) + inner) + _cropped(coarse, 20)
        return x[:, :, : self.scale * height, : self.scale * width]


class UpConv7(nn.Module):
    """waifu2x's seven layers, the last of which enlarges."""

    scale = 2

    def __init__(self) -> None:
        super().__init__()
        channels = (3, 16, 32, 64, 128, 128, 256)
        self.layers = nn.Sequential(
            *(_leaky(nn.Conv2d(a, b, 3)) for a, b in pairwise(channels)),
            nn.ConvTranspose2d(256, 3, 4, 2, padding=3),
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(F.pad(x, (7, 7, 7, 7), "reflect"))
        return found


class Compact(nn.Module):
    """Real-ESRGAN's SRVGG of 18 convolutions, added to the picture's own pixels at 4x; 2x and 3x are that, resized."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        for inputs in (3, *(64,) * 16):
            layers += [nn.Conv2d(inputs, 64, 3, padding=1), nn.PReLU(64)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(64, 48, 3, padding=1), nn.PixelShuffle(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x) + F.interpolate(x, scale_factor=4, mode="nearest")
        return x if self.scale == 4 else F.interpolate(x, scale_factor=self.scale / 4, mode="bicubic")


class _Dense(nn.Module):
    """Five convolutions, each of which reads all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(64 + 32 * k, 32 if k < 4 else 64, 3, padding=1) for k in range(5))

    def forward(self, x: Tensor) -> Tensor:
        so_far = x
        for layer in self.layers[:-1]:
            so_far = torch.cat((so_far, F.leaky_relu(layer(so_far), 0.2)), 1)
        found: Tensor = x + 0.2 * self.layers[-1](so_far)
        return found


class _Residual(nn.Module):
    """Three of them, and what they read."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Sequential(_Dense(), _Dense(), _Dense())

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + 0.2 * self.dense(x)
        return found


class RRDBNet(nn.Module):
    """Real-ESRGAN's residual-in-residual dense blocks, at the picture's size; 4x behind them."""

    scale = 4

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 3, padding=1)
        self.body = nn.Sequential(*(_Residual() for _ in range(blocks)), nn.Conv2d(64, 64, 3, padding=1))
        end: list[nn.Module] = []
        for _ in range(2):
            end += [nn.Upsample(scale_factor=2, mode="nearest"), _leaky(nn.Conv2d(64, 64, 3, padding=1), 0.2)]
        self.end = nn.Sequential(*end, _leaky(nn.Conv2d(64, 64, 3, padding=1), 0.2), nn.Conv2d(64, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        found: Tensor = self.end(x + self.body(x))
        return found


def _weighted(network: nn.Module) -> Iterable[nn.Module]:
    return (layer for layer in network.modules() if next(layer.parameters(recurse=False), None) is not None)


def read(network: nn.Module, path: Path) -> nn.Module:
    """The network with the weights of an ncnn ``.bin``, ready to run; raises ValueError where it does not fit."""
    data, at = path.read_bytes(), 0

    def take(count: int, kind: str) -> np.ndarray:
        nonlocal at
        values = np.frombuffer(data, kind, count, at)
        at += -(-values.nbytes // 4) * 4
        return values

    for layer in _weighted(network):
        weight, bias = layer.weight, getattr(layer, "bias", None)
        assert isinstance(weight, Tensor)
        if bias is None:  # the slopes of a PReLU, which are not compressed
            values = take(weight.numel(), "<f4")
        else:
            values = take(weight.numel(), {0: "<f4", 0x01306B47: "<f2"}[int(take(1, "<u4")[0])])
        shape = list(weight.shape)
        turned = isinstance(layer, nn.ConvTranspose2d)  # ncnn has the channels that are written first
        if turned:
            shape[:2] = shape[1::-1]
        tensor = torch.from_numpy(values.astype(np.float32)).reshape(shape)
        weight.data = tensor.transpose(0, 1).contiguous() if turned else tensor
        if isinstance(bias, Tensor):
            bias.data = torch.from_numpy(take(bias.numel(), "<f4").copy())
    if at != len(data):
        raise ValueError(f"{path} must end after {at} bytes, got {len(data)}")
    return network.eval().requires_grad_(False)
