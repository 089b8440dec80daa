"""Videos made by ffmpeg, and how they are encoded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from vscugan.encode.encoders.programs import find_ffmpeg

FAST = ("-c:v", "libx264", "-preset", "ultrafast")
#: a graph that needs no network: twice the size
RESIZE = """import vapoursynth as vs
vs.core.resize.Bicubic(clip, clip.width * 2, clip.height * 2).set_output()
"""


def ffmpeg(*arguments: object) -> bytes:
    """Run ffmpeg; returns what it wrote to stdout."""
    command = [find_ffmpeg(), "-hide_banner", "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout


def picture(frames: int = 30, size: str = "64x48", rate: str = "24") -> list[str]:
    """ffmpeg's arguments for a moving test picture as input."""
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate},trim=end_frame={frames}"]


def sound(hertz: int) -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=frequency={hertz}:duration=1.2"]


def plain(path: Path, frames: int = 30, size: str = "64x48") -> Path:
    """A constant video and nothing else."""
    ffmpeg(*picture(frames, size), "-pix_fmt", "yuv420p", *FAST, path)
    return path


def anamorphic(folder: Path) -> Path:
    path = folder / "sar_8_9.mkv"
    ffmpeg(*picture(), "-vf", "setsar=8/9", "-pix_fmt", "yuv420p", *FAST, path)
    return path


def frame_hashes(path: Path) -> list[str]:
    """The md5 of each decoded frame of the first video."""
    lines = ffmpeg("-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-").decode().splitlines()
    return [line.rsplit(",", 1)[1].strip() for line in lines if not line.startswith("#")]


def command(*argv: object) -> Sequence[str]:
    """The command line of the installed vscugan with these arguments."""
    return [sys.executable, "-P", "-m", "vscugan", *map(str, argv)]
