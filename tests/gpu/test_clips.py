"""Clips through the filter on a GPU: in any order, with what stands still, from GPU filters, with alpha."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.clips import MAKE, alpha_of, changing, differences, equal
from support.frames import bits, bits_of, props_of
from support.gpu_runtime import GpuRuntime


def test_frames_are_the_same_in_any_order(gpu: GpuRuntime, core: Any, art_clip: MAKE) -> None:
    """Two nodes, whose models differ, and four threads."""
    clip = art_clip(48, 32, 3)
    nodes = [core.cugan.Upscale(clip, model=model, tile=0, **gpu.arguments) for model in ("se", "pro")]
    wanted = [bits_of(node) for node in nodes]
    again = [core.cugan.Upscale(clip, model=model, tile=0, **gpu.arguments) for model in ("se", "pro")]
    requests = [(k, n) for k in range(2) for n in range(3)]
    random.Random(5).shuffle(requests)
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda at: bits(again[at[0]].get_frame(at[1])), requests))
    assert got == [wanted[k][n] for k, n in requests]


def test_what_stands_still_is_not_computed_again(gpu: GpuRuntime, core: Any, picture: np.ndarray) -> None:
    clip = changing(core, picture)
    options = {"reuse": "still", "report": 1, "tile": 0}
    got = core.cugan.Upscale(clip, **options, **gpu.arguments)
    wanted = core.cugan.Upscale(clip, **options, backend="torch", device="cpu")
    for n in range(3):
        assert differences(got.get_frame(n), wanted.get_frame(n)) < 1e-4
    reused = props_of(got, "CuganReused")
    assert reused[0] == 0
    assert reused[1] == 1
    assert 0 < reused[2] < 1


def test_clips_of_gpu_filters_are_downloaded_bit_by_bit(gpu: GpuRuntime, core: Any, art_clip: MAKE) -> None:
    try:
        core.vulkan_devices  # noqa: B018
    except vs.Error as error:
        pytest.skip(f"VapourSynth's GPU filters do not run here: {error}")
    source = core.resize.Bicubic(art_clip(48, 32, 1), format=vs.YUV420P16, matrix=1)
    alpha = core.resize.Bicubic(art_clip(48, 32, 1), format=vs.GRAY16, matrix=1)
    on_gpu = core.std.ClipToProp(core.std.BoxBlur(core.std.GPUUpload(source)), core.std.GPUUpload(alpha))
    assert on_gpu.gpu_resident
    on_host = core.std.GPUDownload(on_gpu)
    got, wanted = (core.cugan.Upscale(clip, tile=0, **gpu.arguments) for clip in (on_gpu, on_host))
    assert not got.gpu_resident
    frame, expected = got.get_frame(0), wanted.get_frame(0)
    assert (frame.width, frame.height) == (96, 64)
    assert equal(frame, expected)
    assert np.array_equal(alpha_of(frame), alpha_of(expected))
