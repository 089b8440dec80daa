"""``gates=scene``: gates are held within a scene, whatever blinks in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.frames import arrays_of, painted, props_of, psnr
from support.motion import flicker


@pytest.fixture(scope="module")
def caption(core: Any, picture: np.ndarray) -> vs.VideoNode:
    """A still with a caption that blinks, RGBS 96x64; frame 8 on: another picture."""
    blank = core.std.BlankClip(format=vs.RGBS, width=96, height=64, length=16, keep=True)

    def paint(n: int, planes: list[np.ndarray]) -> None:
        for p, plane in enumerate(planes):
            left = 200 if n < 8 else 20
            plane[:] = picture[p, 60:124, left : left + 96]
            if n % 2:
                plane[52:60, 20:76] = 1

    return painted(core, blank, paint)


def test_scene_gates_keep_a_caption_from_changing_the_background(core: Any, caption: vs.VideoNode) -> None:
    frame, scene = (
        arrays_of(core.cugan.Upscale(caption, gates=gates, backend="torch")) for gates in ("frame", "scene")
    )
    far = (slice(None), slice(0, 60))  # of 128 rows; the caption begins at 104, and its halo at 68
    changes = [flicker(frames[:8], far) for frames in (frame, scene)]
    assert changes[0] > 1e-5
    assert changes[1] < changes[0] / 20
    assert np.array_equal(scene[0], frame[0])
    assert np.array_equal(scene[8], frame[8])  # a cut, by our own test
    assert min(psnr(a, b) for a, b in zip(frame, scene, strict=True)) > 30


def test_scene_gates_take_the_cuts_of_the_props(core: Any, caption: vs.VideoNode) -> None:
    none, at_four = (
        core.cugan.Upscale(core.std.Splice([caption[:4], caption[4:8].std.SetFrameProps(_SceneChangePrev=cut),
                                            caption[8:].std.SetFrameProps(_SceneChangePrev=0)]),
                           gates="scene", report=1)
        for cut in (0, 1)
    )  # fmt: skip
    assert props_of(none, "CuganSegment") == [0] * 16
    assert props_of(at_four, "CuganSegment") == [0] * 4 + [4, 5, 6, 7] + [7] * 8


def test_scene_gates_go_with_exact(core: Any, caption: vs.VideoNode) -> None:
    twice = core.std.Splice([caption[n // 2] for n in range(16)])
    off, exact = (arrays_of(core.cugan.Upscale(twice, gates="scene", reuse=reuse)) for reuse in ("off", "exact"))
    assert all(np.array_equal(a, b) for a, b in zip(off, exact, strict=True))
    reused = props_of(core.cugan.Upscale(core.std.Loop(caption[0], 4), gates="scene", report=1), "CuganReused")
    assert reused == [0, 0, 1, 1]  # with its own gates, with held ones, and the same again
