"""What stands in for the network, and a picture with alpha."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from support.enlargement import PlainEnlargement
from support.frames import DATA

import vscugan.clip.filter as filter_module


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_module, "Engine", PlainEnlargement)


@pytest.fixture(scope="module")
def cutout() -> tuple[np.ndarray, np.ndarray]:
    """(3, 128, 96) and (128, 96) fp32: a figure on transparent black, and its alpha."""
    image = Image.open(DATA / "sylvie_green_normal_456x700_rgba.png").convert("RGBA")
    rgba = np.asarray(image.crop((80, 180, 176, 308))).astype(np.float32) / 255
    rgb, alpha = rgba[..., :3].transpose(2, 0, 1).copy(), rgba[..., 3].copy()
    rgb[:, alpha == 0] = 0
    assert 0.1 < alpha.mean() < 0.9
    return rgb, alpha
