"""What the native bridge holds: nothing is left where a step fails, and no array reads a frame that is gone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.enlargement import PlainEnlargement

import vscugan.clip.filter as filter_module
from vscugan.clip.stages import array

Change = Callable[[Any], object]


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], list[weakref.ref[Any]]]:
    """changed(change): graphs go through ``change`` before the bridge sees them; returns weak references to them."""
    monkeypatch.setattr(filter_module, "Engine", PlainEnlargement)
    create = filter_module.create

    def install(change: Change) -> list[weakref.ref[Any]]:
        seen: list[weakref.ref[Any]] = []

        def make(*arguments: Any) -> Any:
            graph = create(*arguments)
            parts = [graph, *graph.stages, *([graph.matte, *graph.matte.stages] if graph.matte else [])]
            seen.extend(weakref.ref(part) for part in parts)
            change(graph)
            return graph

        monkeypatch.setattr(filter_module, "create", make)
        return seen

    return install


def watched(core: Any, clip: vs.VideoNode) -> tuple[vs.VideoNode, weakref.ref[Any]]:
    """A node over ``clip``, and what is dead as soon as it is freed."""

    class Same:
        def __call__(self, n: int) -> vs.VideoNode:
            return clip

    same = Same()
    return core.std.FrameEval(clip, same), weakref.ref(same)


def bad_calls(graph: Any) -> None:
    graph.matte_calls = [("Spline36",)]


def unknown_call(graph: Any) -> None:
    graph.matte_calls = [("Nothing", {})]


def bad_stage(graph: Any) -> None:
    graph.stages[0].reads_others = NotYetKnown()


def bad_output(graph: Any) -> None:
    graph.width = -5


def bad_matte(graph: Any) -> None:
    graph.matte.width = -5


def bad_number(graph: Any) -> None:
    graph.matte_calls = [("Spline36", {"width": 1 << 80})]


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
        (bad_matte, "cugan.Upscale: VapourSynth refused the filter"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_nothing_is_left_where_a_step_of_the_graph_fails(
    change: Change, text: str, core: Any, changed: Callable[[Change], list[weakref.ref[Any]]]
) -> None:
    parts = changed(change)
    clip, clip_held = watched(core, core.std.BlankClip(format=vs.YUV420P8, width=32, height=16, length=1))
    alpha, alpha_held = watched(core, core.std.BlankClip(format=vs.GRAY8, width=32, height=16, length=1))
    with pytest.raises(vs.Error) as error:
        core.cugan.Upscale(clip, alpha_clip=alpha)
    # the words for the number are Python's, and its own change
    assert str(error.value) in (text, "Python int too large to convert to C long" if change is bad_number else text)
    del clip, alpha, error
    gc.collect()
    assert len(parts) == 4
    assert [part() for part in (*parts, clip_held, alpha_held)] == [None] * 6


def test_no_frame_is_left_where_the_end_of_one_fails(
    core: Any, changed: Callable[[Change], list[weakref.ref[Any]]]
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


def test_what_compute_keeps_is_taken_back_or_keeps_its_frame(
    core: Any, art_clip: Callable[..., vs.VideoNode], changed: Callable[[Change], list[weakref.ref[Any]]]
) -> None:
    views: list[memoryview] = []
    arrays: list[np.ndarray] = []

    def change(graph: Any) -> None:
        stage = graph.stages[0]
        compute = stage.compute

        def keeping(n: int, frames: dict[int, Any], target: list[Any], made: object) -> object:
            width, source, *_ = frames[n]
            views.extend((source[0][0], source[1][0], target[0][0], target[1][0]))
            arrays.extend((array(source[1], width), array(target[1], width * 2)))
            return compute(n, frames, target, made)

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
    core: Any, art_clip: Callable[..., vs.VideoNode], changed: Callable[[Change], list[weakref.ref[Any]]]
) -> None:
    """The resizer's node is asked for, and the stage behind it fails: nothing of the node is left."""

    def fail(*_: object) -> object:
        raise RuntimeError("no pixels today")

    def change(graph: Any) -> None:
        graph.stages[0].compute = fail

    parts = changed(change)
    clip, clip_held = watched(core, art_clip(32, 16, 2))
    up = core.cugan.Upscale(clip, format=vs.RGB24)
    for n in (0, 1):
        with pytest.raises(vs.Error, match=r"^no pixels today$"):
            up.get_frame(n)
    del up, clip
    gc.collect()
    assert [part() for part in (*parts, clip_held)] == [None] * 3


def test_many_threads_make_resizers_while_the_log_is_python(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame needs another resizer, and what VapourSynth logs meanwhile waits for the GIL."""
    monkeypatch.setattr(filter_module, "Engine", PlainEnlargement)
    blank = core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=48)
    clip = blank.std.FrameEval(
        lambda n: blank.std.SetFrameProps(_Matrix=(1, 4, 5, 6, 7, 8, 9)[n % 7], _ChromaLocation=n % 6, _Range=n % 2)
    )
    lines: list[str] = []
    handler = core.add_log_handler(lambda _, text: lines.append(text))
    try:
        for _ in range(2):
            up = core.cugan.Upscale(clip)
            with ThreadPoolExecutor(8) as pool:
                sizes = {frame.width for frame in pool.map(up.get_frame, range(48))}
            assert sizes == {32}
    finally:
        core.remove_log_handler(handler)
    assert lines
