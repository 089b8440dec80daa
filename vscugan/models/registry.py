"""The released models: one row per model, read from ``weights/manifest.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vscugan.errors import ArgumentError, WeightsError
from vscugan.option_values import listed


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """A released model and its two ncnn files, in the folder ``models`` of a package."""

    name: str
    model: str
    scale: int
    noise: str
    architecture: str  #: its name in ``vscugan.architectures``
    package: str  #: as pip knows it
    param: str
    param_bytes: int
    param_sha256: str
    bin: str
    bin_bytes: int
    bin_sha256: str
    licence: str
    origin: str


def weights_folders() -> tuple[Path, ...]:
    """Where ``weights/`` may be: in the installed package, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    return package / "weights", package.parent / "weights"


@cache
def read_manifest() -> tuple[ModelRow, ...]:
    """The rows of ``weights/manifest.json``.

    Raises: WeightsError where it is missing.
    """
    for folder in weights_folders():
        manifest = folder / "manifest.json"
        if manifest.is_file():
            return tuple(ModelRow(**row) for row in json.loads(manifest.read_text(encoding="utf-8")))
    raise WeightsError("vscugan must have its weights/manifest.json, got none; install vscugan again")


def rows() -> tuple[ModelRow, ...]:
    """Every released model."""
    return read_manifest()


def models() -> tuple[str, ...]:
    """The families of models that users choose from."""
    return tuple(dict.fromkeys(row.model for row in rows()))


def find(*, model: str, scale: int, noise: str) -> ModelRow:
    """The row of a released model.

    Raises: ArgumentError naming what exists instead.
    """
    for row in rows():
        if (row.model, row.scale, row.noise) == (model, scale, noise):
            return row
    scales = sorted({row.scale for row in rows() if row.model == model})
    if scale not in scales:
        those = listed([f"scale={s}" for s in scales], "and")
        raise ArgumentError(f"model={model} exists only for {those}, got scale={scale}; use model=se")
    others = listed([row.noise for row in rows() if (row.model, row.scale) == (model, scale)], "or")
    if all(row.model != model for row in rows() if row.noise == noise):
        having = listed(list(dict.fromkeys(f"model={row.model}" for row in rows() if row.noise == noise)), "and")
        raise ArgumentError(f"noise={noise} exists only for {having}, got model={model}; use {others}")
    scales = sorted({row.scale for row in rows() if (row.model, row.noise) == (model, noise)})
    those = listed([f"scale={s}" for s in scales], "and")
    raise ArgumentError(f"noise={noise} exists only for {those}, got scale={scale}; use {others}")
