"""``vscugan image``: pictures come back with everything that they carried, and a folder goes on where it was."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import vapoursynth as vs
from PIL import Image
from support.still_images import ICC, exif, image, ramp

from vscugan.image import picture_files, shots, upscaler
from vscugan.image.results import NAME


@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_alpha_and_16_bit_come_back(tmp_path: Path, ending: str) -> None:
    source, target = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    array = ramp(4, np.uint16)
    picture = picture_files.Picture(pixels=array[..., :3], alpha=array[..., 3], icc=ICC, exif=None)
    picture_files.write(picture, source, 0)
    assert image(source, "-o", target, "--scale", 3) == 0
    result = picture_files.read(target)
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
        assert picture_files.ORIENTATION not in result.getexif()


def test_folders_keep_their_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in" / "b").mkdir(parents=True)
    for name in ("1.png", "2.png", "b/3.png"):
        Image.fromarray(ramp(3, np.uint8)).save(tmp_path / "in" / name)
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    assert image(tmp_path / "in", "-o", tmp_path / "out", "--to", "webp") == 3
    names = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert names == [NAME, "1.webp", "2.webp", "b/3.webp"]
    said = capsys.readouterr().err
    assert said.startswith("vscugan image: picture must be a whole AVIF, JPEG, PNG, TIFF, WEBP of gray or RGB, got ")


def test_results_of_the_run_before_are_no_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    Image.fromarray(ramp(3, np.uint8)).save("in/1.png")
    for source in (".", "*", "**/*.png"):
        assert image(source, "-o", "out") == 0
        assert image(source, "-o", "out") == 0
        expected = "1 of 1 results are there already, of the same source and options\n"
        assert capsys.readouterr().out.endswith(expected)
    assert image("in", "-o", ".") == 0  # the sources lie in the output folder
    assert capsys.readouterr().out == "'1.png': 48x40, 8 bit\n"
    assert image("", "-o", "out") == 3  # as of a variable of the shell that is not set


def test_a_folder_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there of the same source and options stays; everything else needs --overwrite."""
    (tmp_path / "in").mkdir()
    for place, name in enumerate(("1.png", "2.png", "3.png")):
        Image.fromarray(ramp(3, np.uint8, 20 + place)).save(tmp_path / "in" / name)
    out = tmp_path / "in" / "out"  # below the sources, and none of them

    def run(*arguments: object) -> tuple[int, list[str], str]:
        """The exit code, the names of the results that it wrote, and the other lines."""
        code = image(tmp_path / "in", "-o", out, *arguments)
        lines, said = capsys.readouterr()
        names = [Path(line.split("'")[1]).name for line in lines.splitlines() if line.startswith("'")]
        return code, names, said + "".join(line for line in lines.splitlines() if not line.startswith("'"))

    def there(count: int) -> str:
        return f"{count} of 3 results are there already, of the same source and options"

    def refused(name: str) -> str:
        return (
            f"vscugan image: result must not exist yet, or be of the same source and options, got {name}; "
            "say --overwrite, or name another output\n"
        )

    assert run() == (0, ["1.png", "2.png", "3.png"], "")
    before = (out / "1.png").stat().st_mtime_ns
    (out / "2.png").unlink()
    assert run("--tile", 0, "--noise", "no-denoise") == (0, ["2.png"], there(2))  # which change nothing
    assert run("--overwrite") == (0, [], there(3))
    assert (out / "1.png").stat().st_mtime_ns == before
    assert run("--noise", "denoise1x") == (4, [], refused("'1.png' and 2 more"))
    (out / "1.png").write_bytes((out / "1.png").read_bytes()[:-1])  # cut off, or somebody's own
    assert run() == (4, [], refused("'1.png'"))
    assert run("--overwrite") == (0, ["1.png"], there(2))
    Image.fromarray(ramp(3, np.uint8, 30)).save(tmp_path / "in" / "3.png")
    assert run() == (4, [], refused("'3.png'"))
    with open(out / NAME, "ab") as file:
        file.write(b'{"result": "1.pn')  # torn by a crash
    assert run("--overwrite") == (0, ["3.png"], there(2))
    assert run() == (0, [], there(3))
    assert image(tmp_path / "in" / "1.png", "-o", tmp_path / "in" / "2.png") == 4
    assert capsys.readouterr().err == (
        "vscugan image: result must not exist yet, got '2.png'; say --overwrite, or name another output\n"
    )
    assert image(tmp_path / "in" / "1.png", "-o", tmp_path / "in", "--overwrite") == 4
    assert capsys.readouterr().err == "vscugan image: result must not be its source, got '1.png'; name another folder\n"


def test_one_bad_name_or_frame_does_not_end_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("1.png", "2.png", "3.png")
    for name in names:
        Image.fromarray(ramp(3, np.uint8)).save(tmp_path / name)
    (tmp_path / "none").mkdir()
    (tmp_path / "notes.txt").touch()

    def fetch(clip: vs.VideoNode, n: int) -> vs.VideoFrame:
        if n == 2:
            clip = clip.std.FrameEval(lambda n: 1 // 0)
        return shots.fetch(clip, n)

    monkeypatch.setattr(upscaler, "fetch", fetch)
    sources = [tmp_path / name for name in ("no.png", "none", "notes.txt", "[1-3]*")]  # as Windows hands it on
    assert image(*sources, "-o", tmp_path / "out") == 3
    out, err = capsys.readouterr()
    assert [line.split("'")[1] for line in out.splitlines()] == [str(tmp_path / "out" / n) for n in ("1.png", "3.png")]
    lines = err.splitlines()
    assert lines[:3] == [
        "vscugan image: source must be a picture or a folder, got 'no.png', which is not there; check the name",
        "vscugan image: folder must hold pictures, got 'none' with none; name another one",
        "vscugan image: result must end in .png, .jpg, .jpeg, .webp, .avif, .tif, .tiff, got 'notes.txt'; say --to png",
    ]
    assert lines[3].startswith("vscugan image: '2.png': ")
    assert len(lines) == 4
    (tmp_path / "out" / "1.png").unlink()
    monkeypatch.setattr(upscaler, "fetch", lambda clip, n: fetch(clip, 2))
    assert image(tmp_path / "1.png", "-o", tmp_path / "out") == 1


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture_files.write(
        picture_files.Picture(pixels=ramp(3, np.uint16), alpha=None, icc=None, exif=None), tmp_path / "a.png", 0
    )
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
        assert image(tmp_path / "a.png", "-o", tmp_path / "b.png", *option) == 2
        assert capsys.readouterr().err == (
            f"vscugan image: option must be known to vscugan image, got {option[0]}; "
            "run vscugan image --help to see all options\n"
        )
