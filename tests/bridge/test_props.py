"""Frame props between VapourSynth and Python: what comes through, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import vapoursynth as vs
from support.clips import message

Change = Callable[[Callable[[Any], object]], object]
NO_DICT = "cugan.Upscale: props and arguments must be a dict"


@pytest.fixture
def answered(core: Any, changed: Change) -> Callable[..., vs.VideoFrame]:
    """answered(stage, output): a frame for which the stage and the output node answer with these props."""

    def frame(stage: object = (), output: object = ()) -> vs.VideoFrame:
        def change(graph: Any) -> None:
            compute, finish = graph.stages[0].compute, graph.finish

            def computed(*arguments: Any) -> Any:
                same, props = compute(*arguments)
                return same, props if stage == () else stage

            def finished(n: int, props: Any) -> Any:
                calls, write, is_other = finish(n, props)
                return calls, write if output == () else output, is_other

            graph.stages[0].compute, graph.finish = computed, finished

        changed(change)
        clip = core.std.BlankClip(format=vs.YUV420P8, width=32, height=16, length=1)
        return core.cugan.Upscale(clip.std.SetFrameProps(CuganText="old", Other="the clip's")).get_frame(0)

    return frame


def test_what_a_stage_reports_comes_through_and_nothing_else_of_it(answered: Callable[..., vs.VideoFrame]) -> None:
    reported = {"CuganText": "ü" * 5000, "CuganLeast": -(2**63), "CuganMost": 2**63 - 1, "CuganNumber": -0.5}
    props = answered({**reported, "Other": 1, "_SARNum": 9, "_Alpha": 1}).props
    assert {name: value for name, value in props.items() if name.startswith("Cugan")} == reported
    assert props["Other"] == "the clip's"
    assert props.keys() & {"_SARNum", "_Alpha"} == set()


def test_the_output_writes_over_all_props(answered: Callable[..., vs.VideoFrame]) -> None:
    props = answered({"CuganText": "of the stage"}, {"CuganText": "of the output", "Other": 3, "_Matrix": 5}).props
    assert (props["CuganText"], props["Other"], props["_Matrix"]) == ("of the output", 3, 5)


@pytest.mark.parametrize("props", [None, 0, "text", [("CuganText", "a")]], ids=str)
def test_props_that_are_no_dict_are_refused(props: object, answered: Callable[..., vs.VideoFrame]) -> None:
    assert message(lambda: answered(stage=props)) == NO_DICT
    assert message(lambda: answered(output=props)) == NO_DICT


def test_arguments_of_a_resizer_that_are_no_dict_are_refused(core: Any, changed: Change) -> None:
    def change(graph: Any) -> None:
        graph.stages[0].prepare = lambda n, props: [("Spline36", [("format", vs.RGBS)])]

    changed(change)
    clip = core.std.BlankClip(format=vs.YUV420P8, width=32, height=16, length=1)
    assert message(lambda: core.cugan.Upscale(clip).get_frame(0)) == NO_DICT


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 1 << 80])
def test_a_number_that_is_too_large_is_refused(number: int, answered: Callable[..., vs.VideoFrame]) -> None:
    texts = ("int too big to convert", "Python int too large to convert to C long")  # Python's, and its own change
    for answer in ({"stage": {"CuganMost": number}}, {"output": {"_Matrix": number}}):
        assert message(partial(answered, **answer)) in texts


@pytest.mark.parametrize(
    ("props", "text"),
    [
        ({"CuganText": None}, "bad argument type for built-in operation"),
        ({"CuganText": b"bytes"}, "bad argument type for built-in operation"),
        ({1: "text"}, "bad argument type for built-in operation"),
        ({"CuganA": "\ud800"}, r"'utf-8' codec can't encode character '\ud800' in position 0: surrogates not allowed"),
    ],
    ids=["none", "bytes", "number as a name", "half a character"],
)
def test_values_of_another_kind_are_refused(props: object, text: str, answered: Callable[..., vs.VideoFrame]) -> None:
    assert message(lambda: answered(stage=props)) == text
