"""Pictures come back with their alpha, depth, profile and EXIF, or are refused."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from vscugan.__main__ import main
from vscugan.errors import SourceError
from vscugan.image import files

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
    made = Image.Exif()
    made[0x013B] = "Somebody"
    if orientation:
        made[files.ORIENTATION] = orientation
    return made


def image(*words: object) -> int:
    return main(["image", *map(str, words), *FAST])


@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_alpha_and_16_bit_come_back(tmp_path: Path, ending: str) -> None:
    source, target = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    array = ramp(4, np.uint16)
    picture = files.Picture(pixels=array[..., :3], alpha=array[..., 3], icc=ICC, exif=None)
    files.write(picture, source, 0)
    assert image(source, "-o", target, "--scale", 3) == 0
    result = files.read(target)
    assert result.pixels.shape == (60, 72, 3)
    assert result.pixels.dtype == np.uint16
    assert result.alpha is not None
    assert result.alpha.dtype == np.uint16
    assert result.alpha[30, 36] == 65535
    assert result.alpha[0, 0] == 0
    assert result.icc == ICC
    assert len(np.unique(result.pixels)) > 300  # more than 8 bit has
    inside = result.alpha == 65535
    wanted = np.repeat(np.repeat(array, 3, 0), 3, 1)[..., :3]
    assert np.abs(result.pixels[inside].astype(int) - wanted[inside]).mean() < 1500
    raw = imagecodecs.png_decode(target.read_bytes()) if ending == ".png" else tifffile.imread(target)
    assert raw.shape == (60, 72, 4)
    assert raw.dtype == np.uint16


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".avif", ".tiff"])
def test_every_format_keeps_profile_and_exif(tmp_path: Path, ending: str) -> None:
    source, target = tmp_path / f"in{ending}", tmp_path / "out" / f"in{ending}"
    with_alpha = ending != ".jpg"
    Image.fromarray(ramp(4 if with_alpha else 3, np.uint8)).save(source, icc_profile=ICC, exif=exif(6))
    assert image(source, "-o", tmp_path / "out") == 0
    with Image.open(target) as result:
        assert result.size == (40, 48)  # upright
        assert result.mode == ("RGBA" if with_alpha else "RGB")
        assert result.info["icc_profile"] == ICC
        assert result.getexif()[0x013B] == "Somebody"
        assert files.ORIENTATION not in result.getexif()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    path = tmp_path / "in.png"
    with Image.fromarray(ramp(3, np.uint8)) as picture:
        picture.save(path, exif=exif(orientation))
    with Image.open(path) as opened:
        wanted = np.asarray(ImageOps.exif_transpose(opened))
    assert np.array_equal(files.read(path).pixels, wanted)


def test_exif_in_16_bit_png(tmp_path: Path) -> None:
    picture = files.Picture(pixels=ramp(1, np.uint16), alpha=None, icc=ICC, exif=exif().tobytes())
    files.write(picture, tmp_path / "a.png", 0)
    again = files.read(tmp_path / "a.png")
    assert np.array_equal(again.pixels, picture.pixels)
    assert (again.icc, again.exif) == (picture.icc, picture.exif)


def test_folders_keep_their_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in" / "b").mkdir(parents=True)
    for name in ("1.png", "2.png", "b/3.png"):
        Image.fromarray(ramp(3, np.uint8)).save(tmp_path / "in" / name)
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    assert image(tmp_path / "in", "-o", tmp_path / "out", "--to", "webp") == 3
    made = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert made == ["1.webp", "2.webp", "b/3.webp"]
    said = capsys.readouterr().err
    assert said.startswith("vscugan image: picture must be a whole AVIF, JPEG, PNG, TIFF, WEBP of gray or RGB, got ")
    assert image(tmp_path / "in" / "1.png", "-o", tmp_path / "out", "--to", "webp") == 2
    assert "result must not exist yet, got '1.webp'; name another folder or --overwrite" in capsys.readouterr().err


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.write(files.Picture(pixels=ramp(3, np.uint16), alpha=None, icc=None, exif=None), tmp_path / "a.png", 0)
    assert image(tmp_path / "a.png", "-o", tmp_path / "a.jpg") == 2
    assert "format must hold 16 bit, got 'a.jpg'; write .png or .tiff" in capsys.readouterr().err
    Image.fromarray(ramp(4, np.uint8)).save(tmp_path / "b.png")
    assert image(tmp_path / "b.png", "-o", tmp_path / "b.jpg") == 2
    assert "format must hold transparency, got 'b.jpg'" in capsys.readouterr().err
    assert image(tmp_path / "no.png", "-o", tmp_path / "c.png") == 3
    assert image(tmp_path / "a.png", "-o", tmp_path / "c.png", "--noise", "denoise9x") == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_pictures_know_nothing_of_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What one picture has in common with the one before is of clips only."""
    for option in (("--reuse", "still"), ("--gates", "scene"), ("--segment", "2"), ("--threshold", "1")):
        with pytest.raises(SystemExit) as end:
            image(tmp_path / "a.png", "-o", tmp_path / "b.png", *option)
        assert end.value.code == 2
        assert f"unrecognized arguments: {' '.join(option)}" in capsys.readouterr().err


def test_pictures_of_other_kinds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    Image.new("CMYK", (8, 8)).save(path)
    with pytest.raises(SourceError, match="colour mode CMYK; convert it first"):
        files.read(path)
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG", save_all=True, append_images=[Image.new("L", (8, 8), 9)])
    path.write_bytes(file.getvalue())
    with pytest.raises(SourceError, match="several pictures in one file"):
        files.read(path)
    deep = np.full((8, 8, 5), 1000, np.uint16)
    for samples, extra, reason in (
        (4, ["assocalpha"], "premultiplied alpha"),
        (5, ["unassalpha", "unspecified"], "2 samples beside the colour"),
    ):
        tifffile.imwrite(path, deep[..., :samples], photometric="rgb", extrasamples=extra, metadata=None)
        with pytest.raises(SourceError, match=f"{reason}; convert it first"):
            files.read(path)
