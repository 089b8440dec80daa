"""A frame computed again, against the coded one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import vapoursynth as vs
from support.frames import painted

from vscugan.encode.certificate import frame_check
from vscugan.encode.certificate.compare import plain_enlargements
from vscugan.encode.chunks.sketch import sketch
from vscugan.encode.encoders.y4m import frame_hash


def test_grain_may_be_lost_where_the_detail_is_there(core: Any) -> None:
    """The bits are the certificate's; else, or where --psnr is given, that alone decides."""
    rng = np.random.default_rng(5)
    flat = core.std.BlankClip(format=vs.GRAY8, width=96, height=64, length=1, keep=True, color=128)
    grain = rng.normal(0, 22, (64, 96))

    def painter(values: np.ndarray) -> Callable[[int, list[np.ndarray]], None]:
        return lambda n, planes: planes[0].__setitem__(slice(None), np.clip(128 + values, 0, 255))

    clip = painted(core, flat, painter(grain))
    coded = painted(core, flat, painter(0.75 * grain + rng.normal(0, 14, grain.shape)))
    with clip.get_frame(0) as frame:
        expected = frame_check.ExpectedFrame(digest=frame_hash(frame), sketched=sketch(frame), hardware={}, tile=None)
    plain = plain_enlargements(flat, 96, 64)
    computed = frame_check.ComputedClip(clip=clip, plain=plain, hardware={}, changed=["x"], least_psnr=55)
    found = frame_check.compare_frame(computed, coded, 0, expected, None)
    assert (found["is_right"], found["least_psnr"]) == (True, 20)
    assert 22 < found["psnr"] < 26
    assert 0.6 < found["detail"] < 0.9
    assert frame_check.compare_frame(computed, coded, 0, expected, 30)["faults"] == ["psnr"]
    other = replace(expected, digest="0" * 16)
    assert frame_check.compare_frame(computed, coded, 0, other, None)["faults"] == ["psnr"]
    scripted = frame_check.compare_frame(replace(computed, plain=[]), coded, 0, expected, None)
    assert (scripted["detail"], scripted["faults"], scripted["changed"]) == (None, ["psnr"], ["x"])
