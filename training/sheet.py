"""The sheet of docs/figures/fast.md: parts of held-out pictures, each pixel drawn as four, beside the teacher's."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "scripts"), str(ROOT / "training")]
from held_out import Fast  # noqa: E402
from lineage_models import System  # noqa: E402
from lineage_pictures import SUBJECTS, source  # noqa: E402
from lineage_sheet import cell, drawn_sheet  # noqa: E402
from quality import Picture, spline36  # noqa: E402

SHOWN = ("lines of a face", "text", "floor texture", "bokeh")
#: of each degradation the level that fits
LEVELS = {"clean": "no-denoise", "crf35": "denoise2x"}
AMPLIFIED = 4
COLUMNS = ("source", "Spline36", "fast", "teacher (se)", f"teacher - fast, x{AMPLIFIED}")


def enlarged(picture: Picture) -> Picture:
    """Each pixel as 2x2."""
    return np.asarray(picture.repeat(2, 1).repeat(2, 2))


def difference(picture: Picture, wanted: Picture) -> Picture:
    """Gray where both are the same."""
    return np.asarray(0.5 + AMPLIFIED * (wanted - picture), np.float32)


def row(fast: Fast, subject: str, degradation: str) -> list[Picture]:
    """What each column shows of a picture."""
    given, level = source(subject, degradation), LEVELS[degradation]
    wanted = System(model="se", noise=level).picture(given)
    result = replace(fast, noise=level).picture(given)
    pictures = (enlarged(given), spline36(given, *wanted.shape[1:]), result, wanted, difference(result, wanted))
    return [enlarged(cell(p, *SUBJECTS[subject].shown)) for p in pictures]


def drawn(fast: Fast) -> Image.Image:
    """A row for each subject and degradation."""
    rows: Mapping[tuple[str, str], list[Picture]] = {
        (subject, f"{degradation},\n{level}"): row(fast, subject, degradation)
        for subject in SHOWN
        for degradation, level in LEVELS.items()
    }
    return drawn_sheet(COLUMNS, rows)
