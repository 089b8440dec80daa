"""Networks that are tried: each takes (N, 3, H, W), H and W multiples of 4, and gives (N, 3, 2 H, 2 W).

All begin as bicubic upscaling: the picture's pixels go through untouched channels, the rest begins small. A level's
weights are what all levels share, plus its own difference, times a factor of each channel: convolutions alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vscugan.architectures.halfnet import LEVELS
from vscugan.architectures.srvgg import cubic

#: how often each level is drawn
SHARES = (0.2, 0.28, 0.16, 0.16, 0.2)
CUBIC_A = -0.5


class LevelConvolution(nn.Module):
    """A convolution with the weights of each level, most of which they share.

    ``weight`` (as a matrix, as Muon takes it) and ``middle``, what it adds at the kernel's middle, are of all levels;
    ``own``, ``gain`` and ``bias`` of each.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, padding: int = 1,
                 transposed: bool = False, identity: float = 0.0, scale: float = 1.0) -> None:  # fmt: skip
        super().__init__()
        self.stride, self.padding, self.transposed = stride, padding, transposed
        shape = (inputs, outputs) if transposed else (outputs, inputs)
        fan_in = inputs * (1 if transposed else kernel**2)
        self.shape = (*shape, kernel, kernel)
        weight = torch.randn(self.shape) * scale * (2 / fan_in) ** 0.5
        self.weight = nn.Parameter(weight.flatten(1))
        self.middle = nn.Parameter(identity * torch.eye(*shape)) if kernel == 3 else None
        self.own = nn.ParameterList(torch.zeros_like(self.weight) for _ in LEVELS)
        self.gain = nn.Parameter(torch.ones(len(LEVELS), outputs))
        self.bias = nn.Parameter(torch.zeros(len(LEVELS), outputs))

    def of_level(self, level: int) -> tuple[Tensor, Tensor]:
        """The weight and the bias of a level."""
        weight = (self.weight + self.own[level]).view(self.shape)
        if self.middle is not None:
            weight = weight + F.pad(self.middle[:, :, None, None], (1, 1, 1, 1))
        gain = self.gain[level]
        return weight * (gain[None, :, None, None] if self.transposed else gain[:, None, None, None]), self.bias[level]

    def forward(self, x: Tensor, level: int) -> Tensor:
        weight, bias = self.of_level(level)
        if self.transposed:
            return F.conv_transpose2d(x, weight, bias, self.stride, self.padding)
        return F.conv2d(x, weight, bias, self.stride, self.padding)


def _through(first: LevelConvolution) -> None:
    """Let the first 12 channels be the pixels of 2x2 px, untouched."""
    with torch.no_grad():
        weight = first.weight.view(first.shape)
        weight[:12] = 0
        for colour in range(3):
            for y in range(2):
                for x in range(2):
                    weight[4 * colour + 2 * y + x, colour, 2 + y, 2 + x] = 1


def _bicubic(last: LevelConvolution) -> None:
    """Let the last layer enlarge those 12 channels, and the others be small."""
    with torch.no_grad():
        weight = last.weight.view(last.shape)
        weight[:, :12] = 0
        weight[:, 12:] *= 0.05
        for colour in range(3):
            for j in range(4):
                for i in range(4):
                    for y in range(-2, 4):
                        for x in range(-2, 4):
                            tap = cubic((j + 0.5) / 2 - 0.5 - y, CUBIC_A) * cubic((i + 0.5) / 2 - 0.5 - x, CUBIC_A)
                            channel = 4 * colour + 2 * (y % 2) + x % 2
                            weight[16 * colour + 4 * j + i, channel, y // 2 + 1, x // 2 + 1] = tap


def _layers(channels: int, count: int) -> list[LevelConvolution]:
    """Some that begin as what they read, nearly."""
    return [LevelConvolution(channels, channels, identity=0.7, scale=0.5) for _ in range(count)]


class Student(nn.Module):
    """What all have: the first layer, to half the resolution, and the last, to four times that."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = LevelConvolution(3, features, 6, 2, 2)
        self.last = LevelConvolution(features, 48, scale=0.5)
        _through(self.first)
        _bicubic(self.last)

    def features(self, x: Tensor, level: int) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor, level: int) -> Tensor:
        first = F.relu(self.first(x, level))
        return F.pixel_shuffle(self.last(first + self.features(first, level), level), 4)


class Plain(Student):
    """HalfNet: a row of convolutions at half the resolution."""

    def __init__(self, features: int = 96, count: int = 4) -> None:
        super().__init__(features)
        self.middle = nn.ModuleList([*_layers(features, count - 1), LevelConvolution(features, features, scale=0.05)])

    def features(self, x: Tensor, level: int) -> Tensor:
        for layer in self.middle:
            x = F.relu(layer(x, level))
        return x


class UNet(Student):
    """``count`` layers at a quarter of the resolution, ``ahead`` and ``behind`` at half of it before and after them."""

    def __init__(self, features: int = 64, middle: int = 128, count: int = 6, ahead: int = 1, behind: int = 1) -> None:
        super().__init__(features)
        self.before = nn.ModuleList([LevelConvolution(features, features), *_layers(features, ahead - 1)])
        self.down = LevelConvolution(features, middle, 2, 2, 0)
        self.middle = nn.ModuleList(_layers(middle, count))
        self.up = LevelConvolution(middle, features, 2, 2, 0, transposed=True, scale=0.5)
        self.after = nn.ModuleList([*_layers(features, behind - 1), LevelConvolution(features, features, scale=0.05)])

    def features(self, x: Tensor, level: int) -> Tensor:
        for layer in self.before:
            x = F.relu(layer(x, level))
        y = F.relu(self.down(x, level))
        for layer in self.middle:
            y = F.relu(layer(y, level))
        x = x + self.up(y, level)
        for layer in self.after:
            x = F.relu(layer(x, level))
        return x


class Gated(Student):
    """Blocks of two convolutions, whose result is weighted by its own sigmoid (SPAN's attention without parameters)."""

    def __init__(self, features: int = 48, blocks: int = 6) -> None:
        super().__init__(features)
        self.layers = nn.ModuleList(LevelConvolution(features, features, scale=0.7) for _ in range(2 * blocks))

    def features(self, x: Tensor, level: int) -> Tensor:
        for inner, outer in zip(self.layers[::2], self.layers[1::2], strict=True):
            y = outer(F.silu(inner(x, level)), level)
            x = (x + y) * (torch.sigmoid(y) - 0.5)
        return x


class Deep(Student):
    """A U-Net of three resolutions."""

    def __init__(self, features: int = 48, middle: int = 96, deep: int = 192) -> None:
        super().__init__(features)
        self.down = LevelConvolution(features, middle, 2, 2, 0)
        self.before = nn.ModuleList(_layers(middle, 3))
        self.deeper = LevelConvolution(middle, deep, 2, 2, 0)
        self.middle = nn.ModuleList(_layers(deep, 4))
        self.higher = LevelConvolution(deep, middle, 2, 2, 0, transposed=True, scale=0.5)
        self.behind = nn.ModuleList(_layers(middle, 3))
        self.up = LevelConvolution(middle, features, 2, 2, 0, transposed=True, scale=0.5)
        self.after = LevelConvolution(features, features, scale=0.05)

    def features(self, x: Tensor, level: int) -> Tensor:
        y = F.relu(self.down(x, level))
        for layer in self.before:
            y = F.relu(layer(y, level))
        z = F.relu(self.deeper(y, level))
        for layer in self.middle:
            z = F.relu(layer(z, level))
        y = y + self.higher(z, level)
        for layer in self.behind:
            y = F.relu(layer(y, level))
        return F.relu(self.after(x + self.up(y, level), level))


FAMILIES: dict[str, Callable[[], Student]] = {
    "plain": Plain,
    "plain-8": lambda: Plain(64, 8),
    "plain-2": lambda: Plain(128, 2),
    "unet": UNet,
    "unet-4-4": lambda: UNet(count=4, behind=3),
    "unet-wide": lambda: UNet(features=96, count=5),
    "gated": Gated,
    "deep": Deep,
}
