"""No array reads a frame that is gone."""

from __future__ import annotations

import gc
from collections.abc import Callable
from inspect import BufferFlags
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs


def test_what_compute_keeps_is_taken_back_or_keeps_its_frame(
    core: Any, art_clip: Callable[..., vs.VideoNode], changed: Callable[[Callable[[Any], object]], object]
) -> None:
    views: list[memoryview] = []
    arrays: list[np.ndarray] = []

    def change(graph: Any) -> None:
        stage = graph.stages[0]
        compute = stage.compute

        def keeping(n: int, frames: dict[int, Any], unreadable: dict[int, str], target: Any, frame: object) -> object:
            source, _ = frames[n]
            views.extend((source[0], source[1], target[0], target[1]))
            arrays.extend((np.asarray(source[1]), np.asarray(target[1])))
            return compute(n, frames, unreadable, target, frame)

        stage.compute = keeping

    changed(change)
    clip = art_clip(64, 48)
    wanted = [np.array(f.get_frame(0)[1]) for f in (clip, core.resize.Point(clip, 128, 96))]
    core.clear_cache()
    before = core.used_cache_size
    up = core.cugan.Upscale(clip)
    up.get_frame(0).close()
    del up, clip
    core.clear_cache()
    others = [core.std.BlankClip(format=vs.RGBS, width=size, height=48, length=1).get_frame(0) for size in (64, 128)]
    assert all(np.array_equal(kept, plane) for kept, plane in zip(arrays, wanted, strict=True))
    for view in views[::2]:
        with pytest.raises(ValueError, match="operation forbidden on released memoryview object"):
            bytes(view)
    del others, view
    arrays.clear()
    views.clear()
    gc.collect()
    assert core.used_cache_size <= before


def test_a_plane_has_its_shape_and_that_of_a_source_is_read_only(
    core: Any, changed: Callable[[Callable[[Any], object]], object]
) -> None:
    seen: list[tuple[object, ...]] = []

    def change(graph: Any) -> None:
        compute = graph.stages[0].compute

        def seeing(n: int, frames: dict[int, Any], unreadable: dict[int, str], target: Any, frame: object) -> object:
            for plane in (*frames[n][0], *target):
                seen.append((plane.format, plane.shape, plane.strides[0] % 32, plane.strides[1], plane.readonly))
            source, target_plane = frames[n][0][0].obj, target[0].obj
            for flags in (BufferFlags.SIMPLE, BufferFlags.ND, BufferFlags.C_CONTIGUOUS, BufferFlags.F_CONTIGUOUS):
                with pytest.raises(BufferError, match=r"^a plane must be read with its strides$"):
                    source.__buffer__(flags)
            with pytest.raises(BufferError, match=r"^a source's plane must not be written to$"):
                source.__buffer__(BufferFlags.FULL)
            target_plane.__buffer__(BufferFlags.FULL).release()
            return compute(n, frames, unreadable, target, frame)

        graph.stages[0].compute = seeing

    changed(change)
    core.cugan.Upscale(core.std.BlankClip(format=vs.RGBS, width=61, height=47, length=1)).get_frame(0).close()
    assert seen == [("f", (47, 61), 0, 4, True)] * 3 + [("f", (94, 122), 0, 4, False)] * 3
