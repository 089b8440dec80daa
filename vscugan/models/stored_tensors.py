"""Tensors as files hold them, and the reader of safetensors, which needs no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import deserialize

from vscugan.errors import WeightsError
from vscugan.models.weight_file import LARGEST_HEADER_BYTES, RETRY

#: What DataParallel and DistributedDataParallel put before every name.
_PARALLEL = "module."
#: torch's names for the types of safetensors.
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor of a file. ``dtype``: as torch calls it; ``fp32``: makes an array of its values, of floating types."""

    shape: tuple[int, ...]
    dtype: str
    fp32: Callable[[], NDArray[np.float32]]

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> StoredTensor:
        """One whose values are there."""
        return cls(shape=values.shape, dtype="float32", fp32=lambda: values)


def official_names[T](tensors: Mapping[str, T]) -> dict[str, T]:
    """Without ``pro``, and without what training on several devices puts before every name."""
    named = {name: tensor for name, tensor in tensors.items() if name != "pro"}
    prefix = _PARALLEL if all(name.startswith(_PARALLEL) for name in named) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in named.items()}


def read_safetensors(data: bytes, path: Path) -> tuple[dict[str, StoredTensor], bool]:
    """Tensors by name, and whether the file says Pro (a ``pro`` tensor or metadata key).

    Raises: WeightsError where the file is damaged.
    """
    header_bytes = int.from_bytes(data[:8], "little")
    try:
        if header_bytes > LARGEST_HEADER_BYTES:
            raise ValueError("far too much describes the tensors")
        tensors = {name: _stored(each) for name, each in deserialize(data)}  # type: ignore[no-untyped-call]
        metadata = json.loads(data[8 : 8 + header_bytes]).get("__metadata__") or {}
    except Exception:  # whatever a damaged file leads the package to
        raise WeightsError(f"{path} must be a safetensors file, got damaged data; {RETRY}") from None
    return official_names(tensors), "pro" in tensors or "pro" in metadata


def _stored(each: Mapping[str, Any]) -> StoredTensor:
    shape, kind, data = tuple(each["shape"]), str(each["dtype"]), each["data"]

    def fp32() -> NDArray[np.float32]:
        if kind == "BF16":  # the upper half of fp32
            values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            with np.errstate(over="ignore"):  # Inf is refused by its reader
                values = np.frombuffer(data, f"<f{int(kind[1:]) // 8}").astype(np.float32)
        return values.reshape(shape)

    return StoredTensor(shape=shape, dtype=_DTYPES.get(kind, kind), fp32=fp32)
