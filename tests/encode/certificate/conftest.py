"""An encode with its certificate."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support import media
from support.certificates import FRAMES
from support.frames import DATA

from vscugan.__main__ import main

FAST = ("--device", "cpu", "--backend", "torch")


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real art, enlarged by the network."""
    folder = tmp_path_factory.mktemp("encoded")
    moving = "crop=64:48:200+3*n:100+n,format=yuv420p"
    art = DATA / "sylvie_green_uni_640x360.png"
    media.ffmpeg("-loop", 1, "-i", art, "-vf", moving, "-frames:v", FRAMES, *media.FAST, "-crf", 12, folder / "a.mkv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSCUGAN_CACHE", str(folder / "cache"))
        argv = ("--noise", "denoise1x", "--segment", "2", "--chunk", "0.15", "--encoder", "x264", *FAST)
        assert main(["encode", str(folder / "a.mkv"), "-o", str(folder / "b.mkv"), *argv, "--", "--crf", "18"]) == 0
    return folder


@pytest.fixture
def folder(encoded: Path, tmp_path: Path) -> Path:
    """The same, for one test."""
    for name in ("a.mkv", "b.mkv", "b.mkv.cugan.json"):
        shutil.copy(encoded / name, tmp_path / name)
    return tmp_path
