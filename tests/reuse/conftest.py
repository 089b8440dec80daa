"""Clips in which something moves, and most does not; and what a mode decides, counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import vapoursynth as vs
from support import motion

from vscugan.reuse import decisions
from vscugan.reuse.decisions import Decisions


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> vs.VideoNode:
    """The face of a talking head, 160x96, decoded from x264; 60 frames."""
    path = motion.encoded(tmp_path_factory.mktemp("head") / "head.mkv", motion.talking_head(60))
    clip = vs.core.bs.VideoSource(str(path), cachemode=0)
    return clip.std.Crop(left=200, top=76, right=640 - 360, bottom=360 - 172)


@pytest.fixture(scope="module")
def tiny(head: vs.VideoNode) -> vs.VideoNode:
    """The mouth, 64x48, every other frame."""
    return head.std.Crop(left=40, top=40, right=160 - 104, bottom=96 - 88)[::2]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For frames that are too small for more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def eight_threads(core: Any) -> Iterator[None]:
    """VapourSynth asks for eight frames at once."""
    threads = core.num_threads
    core.num_threads = 8
    yield
    core.num_threads = threads


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every frame that is decided."""
    frames: list[int] = []
    add = Decisions.add

    def adding(self: Decisions, n: int, source: np.ndarray | None, cut: bool | None = None) -> None:
        frames.append(n)
        add(self, n, source, cut)

    monkeypatch.setattr(Decisions, "add", adding)
    return frames


@pytest.fixture
def nothing_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that count: decisions cost no time."""
    monkeypatch.setattr(decisions, "differences", lambda a, b: np.zeros((6, 8), np.float32))
