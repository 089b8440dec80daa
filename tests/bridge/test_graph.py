"""Nothing is left where a step of the graph fails."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import vapoursynth as vs

Change = Callable[[Any], object]
Watch = Callable[[vs.VideoNode], tuple[vs.VideoNode, weakref.ref[Any]]]


def bad_calls(graph: Any) -> None:
    graph.alpha_calls = [("Spline36",)]


def unknown_call(graph: Any) -> None:
    graph.alpha_calls = [("Nothing", {})]


def bad_stage(graph: Any) -> None:
    graph.stages[0].reads_others = NotYetKnown()


def bad_output(graph: Any) -> None:
    graph.width = -5


def bad_alpha(graph: Any) -> None:
    graph.alpha.width = -5


def bad_number(graph: Any) -> None:
    graph.alpha_calls = [("Spline36", {"width": 1 << 80})]


class NotYetKnown:
    def __bool__(self) -> bool:
        raise ValueError("not yet known")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (bad_calls, "function takes exactly 2 arguments (1 given)"),
        (unknown_call, "cugan.Upscale: Function 'Nothing' not found in com.vapoursynth.resize"),
        (bad_number, "int too big to convert"),
        (bad_stage, "not yet known"),
        (bad_output, "cugan.Upscale: VapourSynth refused the filter"),
        (bad_alpha, "cugan.Upscale: VapourSynth refused the filter"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_nothing_is_left_where_a_step_of_the_graph_fails(
    change: Change, text: str, core: Any, changed: Callable[[Change], list[weakref.ref[Any]]], watched: Watch
) -> None:
    parts = changed(change)
    clip, clip_held = watched(core.std.BlankClip(format=vs.YUV420P8, width=32, height=16, length=1))
    alpha, alpha_held = watched(core.std.BlankClip(format=vs.GRAY8, width=32, height=16, length=1))
    with pytest.raises(vs.Error) as error:
        core.cugan.Upscale(clip, alpha_clip=alpha)
    # the words for the number are Python's, and its own change
    assert str(error.value) in (text, "Python int too large to convert to C long" if change is bad_number else text)
    del clip, alpha, error
    gc.collect()
    assert len(parts) == 4
    assert [part() for part in (*parts, clip_held, alpha_held)] == [None] * 6
