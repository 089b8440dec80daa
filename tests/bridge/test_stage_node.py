"""No frame is left where a stage fails, or answers with something else."""

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


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ([], "cugan.Upscale: a stage must name the frames that it needs, got none"),
        ([None], "'NoneType' object cannot be interpreted as an integer"),
        ((None,), "function takes exactly 2 arguments (1 given)"),
        ((object(), {}), "PyCapsule_GetPointer called with invalid PyCapsule object"),
        (None, "new style getargs format but argument is not a tuple"),
    ],
    ids=["no frames", "no number", "no props", "no frame", "nothing"],
)
def test_an_answer_of_another_kind_is_refused(
    answer: object, text: str, core: Any, changed: Callable[[Callable[[Any], object]], object]
) -> None:
    """No frame is left, and the next call is as good as the first."""

    def change(graph: Any) -> None:
        graph.stages[0].compute = lambda *_: answer

    changed(change)
    up = core.cugan.Upscale(core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=2))
    core.clear_cache()
    before = core.used_cache_size
    for n in (0, 1, 0):
        with pytest.raises(vs.Error) as error:
            up.get_frame(n)
        assert str(error.value) == text
    del up, error
    core.clear_cache()
    assert core.used_cache_size <= before
