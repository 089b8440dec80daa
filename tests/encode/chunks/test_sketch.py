"""Sketches of frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.frames import painted

from vscugan.encode.chunks.sketch import RESOLVED_PSNR, sketch, sketch_psnr


@pytest.mark.parametrize("format", [vs.YUV420P8, vs.YUV444P10, vs.GRAY16])
def test_sketches_show_how_near_frames_are(core: Any, format: int) -> None:
    rng = np.random.default_rng(3)
    clip = core.std.BlankClip(format=format, width=160, height=90, length=1, keep=True)
    code = 1 << clip.format.bits_per_sample - 8
    mean = 4 * code

    def noisy(n: int, planes: list[np.ndarray]) -> None:
        for plane in planes:
            plane[:] = rng.integers(16 * code, 200 * code, plane.shape)

    with painted(core, clip, noisy).get_frame(0) as first:
        changed = first.copy()
        errors = rng.integers(-mean, mean + 1, np.asarray(changed[0]).shape)
        np.asarray(changed[0])[:] = (np.asarray(first[0]).astype(int) + errors).astype(np.asarray(first[0]).dtype)
        true = 10 * np.log10((255 * code) ** 2 / np.mean(errors.astype(float) ** 2))
        assert abs(sketch_psnr(sketch(first), sketch(changed)) - true) < 4
        assert sketch_psnr(sketch(first), sketch(first)) == RESOLVED_PSNR
        np.asarray(changed[0])[:] = np.asarray(first[0])
        np.asarray(changed[0])[:8, :8] = 0  # one damaged block of many
        assert 25 < sketch_psnr(sketch(first), sketch(changed)) < 37
