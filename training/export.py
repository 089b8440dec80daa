"""Write a trained state as the file that vscugan loads: ``export.py STATE weights/fast.safetensors``.

``--centred FOLDER``: by files that ``teacher.py`` made in fp32 the last biases are shifted, until the mean colours of
each level are the teacher's. What the network learned from was made in bf16.

The smoothed weights are taken, and the layer for 1x is the mean over 2x2 px of that for 2x: the result of 1x is the
result of 2x brought down by area. Tensors are fp16 and have a first axis for the levels: ``NAME.weight`` (levels,
outputs, inputs, height, width) and ``NAME.bias`` (levels, outputs).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

sys.path.append(str(Path(__file__).resolve().parent))
from families import FAMILIES, LEVELS, LevelConvolution, Student
from samples import compared


def halved(outputs: Tensor) -> Tensor:
    """(levels, 48, ...), for 4x4 px of three planes -> (levels, 12, ...) for 2x2 px, each the mean of four."""
    cells = outputs.view(outputs.shape[0], 3, 2, 2, 2, 2, *outputs.shape[2:])
    return cells.mean((3, 5)).flatten(1, 3)


@torch.no_grad()
def centre(network: Student, folder: Path) -> dict[str, list[float]]:
    """Let the mean colours be those of the samples; returns the shifts of red, green and blue, in codes of 8 bit."""
    errors: list[list[Tensor]] = [[] for _ in LEVELS]
    for level, made, wanted in compared(network, folder):
        errors[level].append((wanted - made).mean((1, 2)))
    if missing := [name for name, each in zip(LEVELS, errors, strict=True) if not each]:
        raise SystemExit(f"{folder} must hold samples of all levels, got none of {missing[0]}; make more by teacher.py")
    shifts = torch.stack([torch.stack(each).mean(0) for each in errors])
    network.last.bias.add_(shifts.repeat_interleave(network.last.bias.shape[1] // 3, 1))
    return {name: [round(255 * float(v), 2) for v in shift] for name, shift in zip(LEVELS, shifts, strict=True)}


def exported(network: Student) -> dict[str, Tensor]:
    """The tensors of the file, in fp32."""
    tensors: dict[str, Tensor] = {}
    for name, layer in network.named_modules():
        if isinstance(layer, LevelConvolution):
            weights, biases = zip(*map(layer.of_level, range(len(LEVELS))), strict=True)
            tensors |= {f"{name}.weight": torch.stack(weights).detach(), f"{name}.bias": torch.stack(biases).detach()}
    return tensors | {f"last_1x.{kind}": halved(tensors[f"last.{kind}"]) for kind in ("weight", "bias")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--centred", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    state = torch.load(arguments.state, map_location="cpu")
    network = FAMILIES[state["family"]]()
    network.load_state_dict(state["smooth"])
    if arguments.centred:
        print(json.dumps(centre(network, arguments.centred)))
    tensors = {name: tensor.half().contiguous() for name, tensor in exported(network).items()}
    save_file(tensors, arguments.file, metadata={"steps": str(state["step"]), "licence": "MIT"})


if __name__ == "__main__":
    main()
