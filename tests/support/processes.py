"""vspipe of the environment that the tests run in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
#: a script for vspipe or Python, of three small frames
SCRIPT = """
import vapoursynth as vs
core = vs.core
clip = core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=3, color=[100, 90, 160])
clip = core.cugan.Upscale(clip, scale=2, noise="denoise1x")
clip.set_output()
"""


def environment() -> dict[str, str]:
    return os.environ | {"VIRTUAL_ENV": str(BIN.parent), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def vspipe(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [BIN / "vspipe", *arguments], capture_output=True, env=environment(), timeout=timeout, check=False
    )
