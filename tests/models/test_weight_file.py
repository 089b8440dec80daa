"""Files of any kind that are too large or damaged."""

from __future__ import annotations

import io
import os
import random
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.tensors import tensors_of
from support.user_networks import convolutions, onnx_network
from support.weight_files import ALONE, SE, pair, peak_bytes, refusal

from vscugan.errors import WeightsError
from vscugan.models.weights import load_file, load_released


@pytest.mark.parametrize(
    ("name", "most"), [("x.pth", 512), ("x.safetensors", 512), ("x.onnx", 512), ("x.bin", 512), ("x.param", 1)]
)
def test_files_larger_than_weights_can_be_are_not_read(name: str, most: int, tmp_path: Path) -> None:
    path = tmp_path / name
    for suffix in (".param", ".bin"):
        path.with_suffix(suffix).touch()
    path.touch()
    os.truncate(path, 30 << 30)
    messages: list[str] = []
    assert peak_bytes(lambda: messages.append(refusal(path))) < 1 << 20
    assert messages == [f"{path} must hold at most {most} MiB, got 30720 MiB; {ALONE}"]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A file with one thing wrong; most of the time near its ends, where the structure is."""
    at = chance.choice([chance.randrange(len(data)), chance.randrange(9000), len(data) - 1 - chance.randrange(9000)])
    at %= len(data)
    number = chance.choice([b"", b"\0", b"\xff", b"\xff" * 4, b"\x7f" + b"\xff" * 7, b"-1", b"9" * 12, b"\n", b"."])
    return chance.choice(
        [
            data[:at],
            data[:at] + number + data[at + len(number) :],  # in place
            data[:at] + number + data[at:],
            data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :],
            data[:at] + data[at + chance.randrange(1, 64) :],
        ]
    )


@pytest.mark.parametrize("kind", ["pth", "pickle", "old pth", "safetensors", "bin", "param", "onnx"])
def test_every_damaged_file_is_refused_or_read(kind: str, tmp_path: Path) -> None:
    path, param, data = pair(tmp_path)
    tensors = {name: tensor.half() for name, tensor in tensors_of(load_released(SE)).items()}
    if kind in ("bin", "param"):
        path.write_bytes(data)
        path.with_suffix(".param").write_bytes(param)
        path = path.with_suffix(f".{kind}")
    elif kind == "onnx":
        path = tmp_path / "x.onnx"
        path.write_bytes(onnx_network(**convolutions(3, scale=2)))
    elif kind == "safetensors":
        path = tmp_path / "x.safetensors"
        save_file(tensors, path)
    else:
        path = tmp_path / "x.pth"
        torch.save(tensors, path, _use_new_zipfile_serialization=kind != "old pth")
    whole, chance, refused = path.read_bytes(), random.Random(kind), 0
    for _ in range(25):
        if kind == "pickle":  # in a zip file that is well
            with zipfile.ZipFile(io.BytesIO(whole)) as archive, zipfile.ZipFile(path, "w") as damaged:
                for name in archive.namelist():
                    content = archive.read(name)
                    damaged.writestr(name, mutated(content, chance) if name.endswith(".pkl") else content)
        else:
            path.write_bytes(mutated(whole, chance))
        try:
            load_file(str(path))
        except WeightsError:
            refused += 1
    assert refused
