"""No frame is left where a stage fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import vapoursynth as vs


def test_no_frame_is_left_where_the_end_of_one_fails(
    core: Any, changed: Callable[[Callable[[Any], object]], object]
) -> None:
    def change(graph: Any) -> None:
        stage = graph.stages[0]
        stage.reads_others, stage.begin = True, lambda n: None
        stage.end = lambda n: 1 // 0

    changed(change)
    clip = core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=4)
    up = core.cugan.Upscale(clip)
    core.clear_cache()
    before = core.used_cache_size
    for n in range(4):
        with pytest.raises(vs.Error, match=r"^(integer )?division( or modulo)? by zero$"):
            up.get_frame(n)
    del up
    core.clear_cache()
    assert core.used_cache_size <= before
