"""The commands of docs/guide/encode-by-hand.md: what they write has the pixels, depth and tags that the page says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.media import ffmpeg, picture, sound
from support.processes import BIN, environment

from vscugan.encode.encoders.programs import find_ffmpeg

av = pytest.importorskip("av", reason="needs PyAV")

PAGE = Path(__file__).parent.parent / "docs" / "guide" / "encode-by-hand.md"
COMMANDS = re.findall(r"^vspipe -c .+$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
SCRIPT = """
import vapoursynth as vs
core = vs.core
blank = core.std.BlankClip(format=vs.YUV420P10, width=64, height=64, length=1, fpsnum=24000, fpsden=1001)
clip = core.std.Splice([blank.std.BlankClip(color=[300 + 20 * n, 400 + n, 600 - n]) for n in range(12)])
clip.set_output(0)
core.std.BlankAudio(sampletype=vs.INTEGER, bits=16, samplerate=48000, length=24000).set_output(1)
"""
VARIABLE = """
import vapoursynth as vs
core = vs.core
clips = [core.std.BlankClip(format=vs.YUV420P10, width=64, height=64, length=2, fpsnum=n, fpsden=1) for n in (25, 50)]
core.std.Splice(clips).set_output()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.vpy").write_text(SCRIPT)
    return tmp_path


def run(command: str, folder: Path) -> Path:
    """Run ``vspipe ... | encoder ...`` of the page; returns what it wrote."""
    source, encoder = map(shlex.split, command.split(" | "))
    program = find_ffmpeg() if encoder[0] == "ffmpeg" else shutil.which(encoder[0])
    if program is None:
        pytest.skip(f"needs the program {encoder[0]}")
    with subprocess.Popen(
        [BIN / "vspipe", *source[1:]],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder, env=environment(),
    ) as pipe:  # fmt: skip
        done = subprocess.run([program, *encoder[1:]], stdin=pipe.stdout, capture_output=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert pipe.returncode == 0
    return folder / encoder[-1]


def pixels(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.array([frame.to_ndarray() for frame in file.decode(video=0)])


def of_the_script(folder: Path) -> np.ndarray:
    subprocess.run(
        [BIN / "vspipe", "-c", "y4m", "in.vpy", "script.y4m"],
        capture_output=True, cwd=folder, env=environment(), check=True,
    )  # fmt: skip
    return pixels(folder / "script.y4m")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: shlex.split(c)[-1])
def test_a_command_writes_ten_bit_and_the_tags(folder: Path, command: str) -> None:
    ffmpeg(*picture(12), *sound(440), "-c:v", "libx264", "-c:a", "flac", folder / "episode.mkv")
    with av.open(str(run(command, folder))) as file:
        kinds = [stream.type for stream in file.streams]
        frames = list(file.decode(video=0))
    first = frames[0]
    assert len(frames) == 12
    assert first.format.name == "yuv420p10le"
    assert (first.color_primaries, first.color_trc, first.colorspace, first.color_range) == (1, 1, 1, 1)
    assert kinds == (["video", "audio"] if "-c:a" in command or "episode.mkv" in command else ["video"])


@pytest.mark.parametrize("container", ["y4m", "mkv"])
def test_ffmpegs_flags_leave_the_pixels_as_they_are(folder: Path, container: str) -> None:
    command = next(c for c in COMMANDS if f"-c {container}" in c and "| ffmpeg" in c)
    lossless = re.sub(r"-c:v libx265 .*", "-c:v ffv1 -an lossless.mkv", command)
    assert np.array_equal(pixels(run(lossless, folder)), of_the_script(folder))


def test_matroska_keeps_a_variable_frame_rate(folder: Path) -> None:
    (folder / "in.vpy").write_text(VARIABLE)
    with av.open(str(run("vspipe -c mkv in.vpy - | ffmpeg -i - -c:v ffv1 variable.mkv", folder))) as file:
        times = [float(packet.pts * packet.time_base) for packet in file.demux(video=0) if packet.pts is not None]
    assert times == pytest.approx([0.0, 0.04, 0.08, 0.1], abs=0.001)
