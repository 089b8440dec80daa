"""Write a trained state as the file that vscugan loads: ``export.py STATE weights/fast.safetensors``.

The smoothed weights are taken, the sum within each layer is made, and the layer for 1x is the mean over 2x2 px of that
for 2x: the result of 1x is the result of 2x brought down by area. Tensors are fp16: ``NAME.weight`` as torch has it,
``NAME.gain`` and ``NAME.bias`` (levels, outputs).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

sys.path.append(str(Path(__file__).resolve().parent))
from families import FAMILIES, LevelConvolution, Student


def halved(outputs: Tensor) -> Tensor:
    """(..., 48, ...) along axis 0, for 4x4 px of three planes -> (12, ...) for 2x2 px, each the mean of four."""
    return outputs.view(3, 2, 2, 2, 2, *outputs.shape[1:]).mean((2, 4)).flatten(0, 2)


def exported(network: Student) -> dict[str, Tensor]:
    """The tensors of the file, in fp32."""
    tensors: dict[str, Tensor] = {}
    for name, layer in network.named_modules():
        if isinstance(layer, LevelConvolution):
            tensors |= {f"{name}.weight": layer.fused(), f"{name}.gain": layer.gain, f"{name}.bias": layer.bias}
    tensors["last_1x.weight"] = halved(tensors["last.weight"])
    tensors["last_1x.bias"] = halved(tensors["last.bias"].T).T
    tensors["last_1x.gain"] = torch.ones_like(tensors["last_1x.bias"])
    return {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    state = torch.load(arguments.state, map_location="cpu")
    network = FAMILIES[state["family"]]()
    network.load_state_dict(state["smooth"])
    tensors = {name: tensor.half() for name, tensor in exported(network).items()}
    save_file(tensors, arguments.file, metadata={"steps": str(state["step"]), "licence": "MIT"})


if __name__ == "__main__":
    main()
