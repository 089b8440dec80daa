"""Clips in which something moves, and most does not."""

from __future__ import annotations

import pytest
import vapoursynth as vs
from support import motion


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
