"""Images in files with everything that they may carry, and the command that upscales them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms

from vscugan.__main__ import main
from vscugan.image.picture_files import ORIENTATION

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
FAST = ("--device", "cpu", "--backend", "torch")


def ramp(samples: int, dtype: type, height: int = 20, width: int = 24) -> np.ndarray:
    """A soft slope in each sample; the last of four is a disc."""
    y, x = np.mgrid[0:height, 0:width]
    most = np.iinfo(dtype).max
    planes = [(x * (p + 1) + y * 2) / (width * (samples + 1) + height * 2) * most for p in range(samples)]
    if samples in (2, 4):
        planes[-1] = np.where((x - width / 2) ** 2 + (y - height / 2) ** 2 < 60, most, 0)
    return np.stack(planes, axis=-1).round().astype(dtype)


def exif(orientation: int | None = None) -> Image.Exif:
    tags = Image.Exif()
    tags[0x013B] = "Somebody"
    if orientation:
        tags[ORIENTATION] = orientation
    return tags


def image(*arguments: object) -> int:
    """``vscugan image``; returns the exit code."""
    return main(["image", *map(str, arguments), *FAST])
