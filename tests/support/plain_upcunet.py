"""UpCunet written down plainly, NCHW and eager, as the tests' and the benchmark's other opinion.

Shares no code with vscugan: layers by their official names, in the order of the published network.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


def plain_upcunet(
    tensors: Mapping[str, Tensor | NDArray[np.float32]], x: Tensor, *, scale: int, pro: bool, alpha: float = 1.0
) -> Tensor:
    """(1, 3, H, W) in 0..1 -> (1, 3, scale*H, scale*W), not clamped; H and W larger than the pad."""
    weights = {name: torch.as_tensor(each) for name, each in tensors.items()}

    def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=stride)

    def up(name: str, x: Tensor, stride: int = 2, padding: int = 0) -> Tensor:
        return F.conv_transpose2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=stride, padding=padding)

    def act(x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.1)

    def block(name: str, x: Tensor, se: bool = True) -> Tensor:
        x = act(conv(f"{name}.conv.2", act(conv(f"{name}.conv.0", x))))
        if se:
            mean = x.mean(dim=(2, 3), keepdim=True)
            gate = conv(f"{name}.seblock.conv2", F.relu(conv(f"{name}.seblock.conv1", mean)))
            x = x * torch.sigmoid(gate)
        return x

    height, width = x.shape[2:]
    multiple, edge = (4, 14) if scale == 3 else (2, 18 if scale == 2 else 19)
    bottom, right = -height % multiple, -width % multiple
    original = x
    if pro:
        x = x * 0.7 + 0.15
    x = F.pad(x, (edge, edge + right, edge, edge + bottom), mode="reflect")

    x1 = block("unet1.conv1", x, se=False)
    x2 = act(up("unet1.conv2_up", block("unet1.conv2", act(conv("unet1.conv1_down", x1, 2)))))
    x3 = act(conv("unet1.conv3", F.pad(x1, (-4,) * 4) + x2))
    y = up("unet1.conv_bottom", x3, *((3, 2) if scale == 3 else (2, 3)))

    x1 = block("unet2.conv1", y, se=False)
    x2 = block("unet2.conv2", act(conv("unet2.conv1_down", x1, 2)))
    x3 = act(up("unet2.conv3_up", block("unet2.conv3", act(conv("unet2.conv2_down", x2, 2)))))
    x4 = block("unet2.conv4", F.pad(x2, (-4,) * 4) + x3) * alpha
    x5 = act(conv("unet2.conv5", F.pad(x1, (-16,) * 4) + act(up("unet2.conv4_up", x4))))
    z = conv("unet2.conv_bottom", x5) + F.pad(y, (-20,) * 4)
    if scale == 4:
        z = F.pixel_shuffle(F.pad(conv("conv_final", z), (-1,) * 4), 2)
    z = z[:, :, : height * scale, : width * scale]
    if scale == 4:
        z = z + F.interpolate(original, scale_factor=4, mode="nearest")
    return (z - 0.15) / 0.7 if pro else z
