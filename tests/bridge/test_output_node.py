"""How an output frame ends: asked of Python once, and nothing is left where it fails."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import vapoursynth as vs

Change = Callable[[Any], object]
Watch = Callable[[vs.VideoNode], tuple[vs.VideoNode, weakref.ref[Any]]]


def test_the_end_of_each_frame_is_asked_for_once(
    core: Any, art_clip: Callable[..., vs.VideoNode], changed: Callable[[Change], list[weakref.ref[Any]]]
) -> None:
    asked: list[int] = []

    def change(graph: Any) -> None:
        finish = graph.finish

        def counted(n: int, props: Any) -> Any:
            asked.append(n)
            return finish(n, props)

        graph.finish = counted

    changed(change)
    source = core.resize.Spline36(art_clip(32, 16, 3), format=vs.YUV420P8, matrix=1)
    up = core.cugan.Upscale(source, width=48)
    sizes = [(frame.width, frame.height) for frame in up.frames()]
    assert sizes == [(48, 24)] * 3
    assert sorted(asked) == [0, 1, 2]


def test_what_a_frame_has_been_asked_for_goes_with_it_where_its_planes_fail(
    core: Any,
    art_clip: Callable[..., vs.VideoNode],
    changed: Callable[[Change], list[weakref.ref[Any]]],
    watched: Watch,
) -> None:
    """The resizer's node is asked for, and the stage behind it fails: nothing of the node is left."""

    def fail(*_: object) -> object:
        raise RuntimeError("no pixels today")

    def change(graph: Any) -> None:
        graph.stages[0].compute = fail

    parts = changed(change)
    clip, clip_held = watched(art_clip(32, 16, 2))
    up = core.cugan.Upscale(clip, format=vs.RGB24)
    for n in (0, 1):
        with pytest.raises(vs.Error, match=r"^no pixels today$"):
            up.get_frame(n)
    del up, clip
    gc.collect()
    assert [part() for part in (*parts, clip_held)] == [None] * 3
