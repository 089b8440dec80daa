"""Colour, range, siting, shape and HDR's metadata reach every encoder, and stand in its result."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import vapoursynth as vs
from support import container_files, media
from support.encode_runs import encode_resized

from vscugan.encode.encoders.programs import find_ffmpeg

COLOUR = ("_Matrix", "_Primaries", "_Transfer", "_Range", "_ChromaLocation")
HDR = ("Mastering", "ContentLight")
#: what each source must have, before it is looked for in a result
SHADES: dict[str, dict[str, Any]] = {
    "hdr10": {"_Matrix": 9, "_Primaries": 9, "_Transfer": 16, "_Range": 0, "_ChromaLocation": 2},
    "hlg": {"_Matrix": 9, "_Primaries": 9, "_Transfer": 18, "_Range": 0, "_ChromaLocation": 2},
    "full_range": {"_Matrix": 6, "_Primaries": 6, "_Transfer": 6, "_Range": 1, "_ChromaLocation": 0,
                   "sar": Fraction(8, 9)},
}  # fmt: skip
ENCODERS: dict[str, tuple[object, ...]] = {
    "x265": ("--preset", "ultrafast"), "x264": ("--preset", "ultrafast"), "svt-av1": ("--preset", 10), "ffv1": (),
}  # fmt: skip


def described(path: Path) -> dict[str, Any]:
    """The colour of a video's first frame, and the shape by the container, since AV1 has none."""
    with vs.core.bs.VideoSource(str(path), cachemode=0).get_frame(0) as frame:
        found = {name: value for name, value in frame.props.items() if name in COLOUR or name.startswith(HDR)}
    with av.open(str(path)) as file:
        return found | {"sar": file.streams.video[0].sample_aspect_ratio}


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("shade", SHADES)
def test_every_encoder_is_given_the_colour(tmp_path: Path, shade: str, encoder: str) -> None:
    (tmp_path / "in").mkdir()
    source, result = getattr(container_files, shade)(tmp_path / "in"), tmp_path / "out.mkv"
    expected = described(source)
    expected["sar"] = expected["sar"] or 1  # what is not specified is square, and is specified so
    assert {name: expected[name] for name in SHADES[shade]} == SHADES[shade]
    assert ("MasteringDisplayMaxLuminance" in expected) == (shade == "hdr10")
    output = encode_resized(source, result, encoder, *ENCODERS[encoder])
    left_out = encoder == "ffv1" and shade == "hdr10"
    assert ("note: mastering display and light levels are left out, since ffv1 is not told them" in output) == left_out
    if left_out:
        expected = {name: value for name, value in expected.items() if not name.startswith(HDR)}
    found = described(result)
    # AV1 holds what HDR was mastered on in other steps
    assert {name: found.get(name) for name in expected} == {
        name: pytest.approx(value, abs=2e-5) for name, value in expected.items()
    }
    if encoder == "ffv1":  # what is output of the samples changes none
        argv = ("verify", result, "--source", source, "--script", tmp_path / "resize.vpy", "--frames", 30)
        run = subprocess.run(media.command(*argv), capture_output=True, text=True, check=False)
        assert run.stdout.count("same bits; coded at 120.0 dB") == 30


def test_any_program_that_reads_y4m(tmp_path: Path) -> None:
    source, result = container_files.full_range(tmp_path), tmp_path / "out.mkv"
    flags = "colour_primaries={primaries}:transfer_characteristics={transfer}:matrix_coefficients={matrix}"
    argv = ("-v", "error", "-y", "-f", "yuv4mpegpipe", "-i", "-", "-c:v", "libx264", "-preset", "ultrafast", "-bsf:v",
             f"h264_metadata={flags}", "{output}.mp4")  # fmt: skip
    assert " frames to 128x96 YUV420P8, 24 fps, by " in encode_resized(source, result, find_ffmpeg(), *argv)
    assert len(media.frame_hashes(result)) == 30
    assert {name: described(result)[name] for name in SHADES["full_range"]} == SHADES["full_range"]
