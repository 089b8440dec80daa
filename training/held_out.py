"""What ``fast`` is measured on, none of which it learned from: the stills and clips of tests/data, and worse copies."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "scripts"), str(ROOT / "tests")]
from lineage_models import System, systems  # noqa: E402
from lineage_pictures import DEGRADATIONS, h264, in_floats  # noqa: E402
from quality import DATA, Picture, clip_of, core, frames_of, picture_of  # noqa: E402
from support import motion  # noqa: E402

STILLS = ("sylvie_blue_lecturehall_640x360.png", "sylvie_green_uni_640x360.png")
LOSSLESS, RELEASED = "sylvie_vn_640x360_lossless.mkv", "sylvie_vn_640x360_crf23.mkv"
#: of both clips: two scenes, a dissolve between them
FRAMES = (10, 40, 70, 84, 104, 130)
#: of the lossless clip, those that are made worse; in an H.264 stream with the frames around them
WORSE_FRAMES = (40, 104)
BEFORE, AFTER = 6, 6
WORSE = [name for name in DEGRADATIONS if name != "clean"]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """A picture that nothing was trained on."""

    name: str
    degradation: str
    picture: Picture  #: (3, 360, 640) in 0..1


@dataclass(frozen=True, kw_only=True)
class Fast(System):
    """``fast``, of its released file or of another one; its pictures are not kept.

    ``weights``: a file that may become the released one. ``strength``: 0 to 3, instead of ``noise``.
    """

    model: str = "fast"
    weights: str | None = None
    strength: float | None = None
    precision: str = "fp32"

    @property
    def options(self) -> dict[str, Any]:
        """What Upscale is given."""
        names = ("model", "noise", "weights", "strength", "precision")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def pictures(self, sources: Sequence[Picture], scale: int = 2, **more: Any) -> list[Picture]:
        """Sources of one size through the model; ``more`` options of Upscale."""
        clip = core.std.Splice([clip_of(x) for x in sources])
        clip = core.cugan.Upscale(clip, scale=scale, reuse="off", **self.options, **more)
        return [picture_of(clip, n) for n in range(len(sources))]


def teachers() -> list[System]:
    """The models whose results ``fast`` learned, one for each of its levels; their pictures are kept."""
    return systems("se")


def stills() -> dict[str, Picture]:
    """The backgrounds as they are, and the figure in front of one."""
    files = {name.split("_")[2]: np.asarray(Image.open(DATA / name).convert("RGB")) for name in STILLS}
    (figure,) = motion.talking_head(1)
    return {name: in_floats(pixels) for name, pixels in (files | {"figure": figure}).items()}


def _clips() -> Iterator[HeldOut]:
    for file, degradation in ((LOSSLESS, "clean"), (RELEASED, "crf23")):
        for n, picture in zip(FRAMES, frames_of(file, FRAMES), strict=True):
            yield HeldOut(name=f"frame {n}", degradation=degradation, picture=picture)


def _worse_clip(degradation: str) -> Iterator[HeldOut]:
    for n in WORSE_FRAMES:
        frames = frames_of(LOSSLESS, range(n - BEFORE, n + AFTER))
        picture = h264(frames)[BEFORE] if degradation == "crf35" else DEGRADATIONS[degradation](frames[BEFORE])
        yield HeldOut(name=f"frame {n}", degradation=degradation, picture=picture)


@cache
def held_out() -> tuple[HeldOut, ...]:
    """24 pictures: each still clean and in one worse copy, six frames of each clip, two worse frames of each kind."""
    found = [HeldOut(name=name, degradation="clean", picture=x) for name, x in stills().items()]
    found += _clips()
    for degradation, (name, picture) in zip(WORSE, stills().items(), strict=True):
        found.append(HeldOut(name=name, degradation=degradation, picture=DEGRADATIONS[degradation](picture)))
        found += _worse_clip(degradation)
    return tuple(found)
