"""Pictures come back with their alpha, depth, profile and EXIF, or are refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from support.still_images import ICC, exif, ramp

from vscugan.errors import SourceError
from vscugan.image import picture_files


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "in.png"
    with Image.fromarray(ramp(3, np.uint8)) as picture:
        picture.save(path, exif=exif(orientation))
    with Image.open(path) as opened:
        wanted = np.asarray(ImageOps.exif_transpose(opened))
    assert np.array_equal(picture_files.read(path).pixels, wanted)


def test_exif_in_16_bit_png(tmp_path: Path) -> None:
    picture = picture_files.Picture(pixels=ramp(1, np.uint16), alpha=None, icc=ICC, exif=exif().tobytes())
    picture_files.write(picture, tmp_path / "a.png", 0)
    again = picture_files.read(tmp_path / "a.png")
    assert np.array_equal(again.pixels, picture.pixels)
    assert (again.icc, again.exif) == (picture.icc, picture.exif)


def test_pictures_of_other_kinds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    Image.new("CMYK", (8, 8)).save(path)
    with pytest.raises(SourceError, match="colour mode CMYK; convert it first"):
        picture_files.read(path)
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG", save_all=True, append_images=[Image.new("L", (8, 8), 9)])
    path.write_bytes(file.getvalue())
    with pytest.raises(SourceError, match="several pictures in one file"):
        picture_files.read(path)
    deep = np.full((8, 8, 5), 1000, np.uint16)
    for samples, extra, reason in (
        (4, ["assocalpha"], "premultiplied alpha"),
        (5, ["unassalpha", "unspecified"], "2 samples beside the colour"),
    ):
        tifffile.imwrite(path, deep[..., :samples], photometric="rgb", extrasamples=extra, metadata=None)
        with pytest.raises(SourceError, match=f"{reason}; convert it first"):
            picture_files.read(path)
