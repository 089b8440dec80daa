"""Shared fixtures: real art, and a core whose plugin is the installed one."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from PIL import Image
from support.frames import DATA, painted

from vscugan.runtime import torch_backend

# what a shell starts in the background ignores Ctrl-C, and so would the commands that tests start
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what another, or the user, has left in the cache."""
    monkeypatch.setenv("VSCUGAN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def every_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch computes in every precision, as on a GPU, whatever the CPU has instructions for."""
    monkeypatch.setattr(torch_backend, "native_precisions", lambda device: ("fp16", "bf16"))


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """(3, 360, 640) fp32 in 0..1: real anime art."""
    image = np.asarray(Image.open(DATA / "sylvie_green_uni_640x360.png").convert("RGB"))
    return np.ascontiguousarray(image.transpose(2, 0, 1).astype(np.float32) / 255)


@pytest.fixture(scope="session")
def core() -> Any:
    return vs.core


@pytest.fixture(scope="session")
def art_clip(core: Any, picture: np.ndarray) -> Callable[..., vs.VideoNode]:
    """art_clip(width, height, length): RGBS crops of real art, another one for each frame."""

    def make(width: int = 64, height: int = 48, length: int = 1) -> vs.VideoNode:
        blank = core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=length, keep=True)

        def paint(n: int, planes: list[np.ndarray]) -> None:
            for p, plane in enumerate(planes):
                plane[:] = picture[p, 100 + n : 100 + n + height, 200 + 3 * n : 200 + 3 * n + width]

        return painted(core, blank, paint)

    return make
