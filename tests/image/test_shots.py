"""Frames that are chosen to be looked at."""

from __future__ import annotations

import vapoursynth as vs

from vscugan.image.shots import different_frames


def test_scenes_are_frames_that_look_unlike() -> None:
    """Three colours, one of them for a moment only, and black, which nobody wants to see."""
    parts = [vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=length, color=[0, 128, 128])
             for length in (40, 40, 40, 10)]  # fmt: skip
    colours = ([90, 128, 128], [200, 60, 128], [150, 128, 220])
    drawn = [vs.core.std.AddBorders(part.std.Crop(right=32), right=32, color=colour)
             for part, colour in zip(parts[1:], colours, strict=True)]  # fmt: skip
    clip = vs.core.std.Splice([parts[0], *drawn])
    for count, scenes in ((3, [1, 2, 3]), (4, [0, 1, 2, 3])):
        assert [min(n // 40, 3) for n in different_frames(clip, count)] == scenes
    assert different_frames(clip[:2], 5) == [0, 1]
