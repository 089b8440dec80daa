"""The models that are compared, and their pictures, which are kept in out/lineage: delete it to compute all again."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vscugan.models.registry import rows

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from quality import Picture, spline36, upscaled  # noqa: E402

KEPT = ROOT / "out" / "lineage"
#: levels from the gentlest to the strongest, as tables list them
LEVELS = ("no-denoise", "conservative", "denoise0x", "denoise1x", "denoise2x", "denoise3x", None)
NAMES = {
    "": "Spline36",
    "waifu2x": "waifu2x",
    "waifu2x-anime": "waifu2x anime (upconv 7)",
    "waifu2x-photo": "waifu2x photo (upconv 7)",
    "realesrgan-animevideo": "Real-ESRGAN animevideo",
    "realesrgan-anime": "Real-ESRGAN anime",
    "se": "Real-CUGAN",
    "pro": "Real-CUGAN Pro",
}


@dataclass(frozen=True, kw_only=True)
class System:
    """A model at a noise level, or interpolation alone (no model)."""

    model: str = ""
    noise: str | None = None

    @property
    def label(self) -> str:
        return NAMES[self.model]

    def picture(self, source: Picture, scale: int = 2) -> Picture:
        """The source through the model, in fp32 and in steps of 1/65535; from the kept files where it is there."""
        if not self.model:
            return spline36(source, source.shape[1] * scale, source.shape[2] * scale)
        arguments: dict[str, Any] = {"model": self.model, "scale": scale, "noise": self.noise, "precision": "fp32"}
        files = [row.bin_sha256 for row in rows() if (row.model, row.noise) == (self.model, self.noise)]
        key = hashlib.sha256(source.tobytes() + json.dumps([arguments, source.shape, files]).encode()).hexdigest()
        path = KEPT / f"{key}.npy"
        if not path.is_file():
            given = {name: value for name, value in arguments.items() if value is not None}
            KEPT.mkdir(parents=True, exist_ok=True)
            np.save(KEPT / "unfinished.npy", np.rint(upscaled(source, **given) * 65535).astype(np.uint16))
            (KEPT / "unfinished.npy").replace(path)
        return np.asarray(np.load(path), np.float32) / 65535


def systems(*models: str) -> list[System]:
    """Each level of each of the models, in the order of ``NAMES`` and ``LEVELS``."""
    released = {(row.model, row.noise) for row in rows()}
    return [System(model=m, noise=noise) for m in models for noise in LEVELS if (m, noise) in released]
