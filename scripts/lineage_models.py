"""The models that are compared, and their pictures, which are kept in out/lineage: delete it to compute all again."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vscugan.models.registry import rows

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from quality import Picture, clip_of, core, picture_of, spline36  # noqa: E402
from report import MODEL_NAMES  # noqa: E402

KEPT = ROOT / "out" / "lineage"
#: levels from the gentlest to the strongest, as tables list them
LEVELS = ("conservative", "no-denoise", "denoise0x", "denoise1x", "denoise2x", "denoise3x", None)


@dataclass(frozen=True, kw_only=True)
class System:
    """A model at a noise level, or interpolation alone (no model)."""

    model: str = ""
    noise: str | None = None

    @property
    def label(self) -> tuple[str, str]:
        """Its name, and its level or kind."""
        name, kind = MODEL_NAMES[self.model]
        return name, self.noise or kind

    @property
    def restores(self) -> bool:
        """Whether it can be had with ``scale=1``: where a model has a network for that, not each level has."""
        own = {row.noise for row in rows() if (row.model, row.scale) == (self.model, 1)}
        return self.noise in own or not own

    def pictures(self, sources: Sequence[Picture], scale: int = 2) -> list[Picture]:
        """Sources of one size through the model, in fp32, in steps of 1/65535; kept files are read."""
        if not self.model:
            return [spline36(x, x.shape[1] * scale, x.shape[2] * scale) for x in sources]
        given = {"model": self.model, "scale": scale, "noise": self.noise, "precision": "fp32", "reuse": "off"}
        files = [row.sha256 for row in rows() if (row.model, row.noise) == (self.model, self.noise)]
        named = json.dumps([given, files]).encode()
        paths = [
            KEPT / f"{hashlib.sha256(named + repr(x.shape).encode() + x.tobytes()).hexdigest()}.npy" for x in sources
        ]
        missing = {path: x for path, x in zip(paths, sources, strict=True) if not path.is_file()}
        if missing:
            KEPT.mkdir(parents=True, exist_ok=True)
            clip = core.std.Splice([clip_of(x) for x in missing.values()])
            clip = core.cugan.Upscale(clip, **{name: value for name, value in given.items() if value is not None})
            for n, path in enumerate(missing):
                unfinished = KEPT / f"{path.stem}.unfinished.npy"
                np.save(unfinished, np.rint(picture_of(clip, n) * 65535).astype(np.uint16))
                unfinished.replace(path)
        return [np.load(path).astype(np.float32) / 65535 for path in paths]

    def picture(self, source: Picture, scale: int = 2) -> Picture:
        """``pictures`` of one."""
        return self.pictures([source], scale)[0]


def systems(*models: str) -> list[System]:
    """Each level of each of the models, in the order of ``LEVELS``."""
    released = {(row.model, row.noise) for row in rows()}
    return [System(model=m, noise=noise) for m in models for noise in LEVELS if (m, noise) in released]
