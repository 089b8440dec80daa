"""What an encoder is refused for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs
from support import media
from support.encoders import program

from vscugan.__main__ import main
from vscugan.cli import doctor_checks
from vscugan.encode.encoders.programs import check_format, find_encoder, find_ffmpeg
from vscugan.encode.encoders.stream_format import stream_format_of
from vscugan.errors import ArgumentError, EncoderError


def test_formats_that_an_encoder_does_not_take(core: Any) -> None:
    clip = core.std.BlankClip(format=vs.YUV444P16, width=64, height=48, length=1)
    stream_format = stream_format_of(clip, {}, Fraction(24))
    with pytest.raises(ArgumentError) as error:
        check_format(program("svt-av1", True), stream_format)
    assert str(error.value) == "format must be one that svt-av1 takes, got YUV444P16; say --format YUV420P10"
    check_format(program("ffv1", True), stream_format)


FAKE = """#!{python}
import os, sys
real, words = {real!r}, sys.argv[1:]
if "-encoders" in words:
    print(" V....D hevc_nvenc  NVIDIA")
    sys.exit()
if {broken!r} in words:
    sys.exit(1)
for name, own in (("hevc_nvenc", "libx265"), ("p6", "ultrafast"), ("+p010le", "+yuv420p10le")):
    words = [own if word == name else word for word in words]
for name in ("-tune", "-rc", "-cq"):
    if name in words:
        del words[words.index(name) : words.index(name) + 2]
os.execv(real, [real, *words])
"""


@pytest.fixture
def nvenc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """An ffmpeg on PATH that says it has NVENC, and codes by x265."""

    def make(broken: str = "") -> Path:
        path = tmp_path / "bin" / "ffmpeg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(FAKE.format(python=sys.executable, real=find_ffmpeg(), broken=broken))
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
        return path

    return make


def test_an_encoder_of_a_gpu_is_that_of_the_ffmpeg_that_has_it(
    nvenc: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EncoderError, match="got no hevc_videotoolbox on PATH and none in ffmpeg; put an ffmpeg on"):
        find_encoder("hevc_videotoolbox")
    path = nvenc()
    found = find_encoder("hevc_nvenc")
    assert found.path == str(path)
    assert "hevc_nvenc inside ffmpeg" in doctor_checks.encoders()
    source, script = media.plain(tmp_path / "a.mkv", frames=3), tmp_path / "r.vpy"
    script.write_text(media.RESIZE.replace(".set_output", ".resize.Point(format=vs.YUV420P10).set_output"))
    argv = ["--script", str(script), "--encoder", "hevc_nvenc", "--", "-cq", "22"]
    assert main(["encode", str(source), "-o", str(tmp_path / "b.mkv"), *argv]) == 0, capfd.readouterr().err
    assert "by hevc_nvenc inside ffmpeg (-preset p6 -tune hq -cq 22) in 1 chunk" in capfd.readouterr().out
    nvenc(broken="lavfi")
    assert "nvenc" not in doctor_checks.encoders()
