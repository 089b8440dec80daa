"""Frames that depend on others: bounded work with many in flight, and a lost frame fails alone."""

from __future__ import annotations

import gc
import random
import weakref
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from hypothesis import given, settings
from hypothesis import strategies as st
from support.frames import bits
from support.plain_engine import FRAME_BYTES, LOST, PlainEngine, mode_of, moving_box, served

from vscugan.engine.engine import FrameGates
from vscugan.errors import FrameError
from vscugan.reuse import decisions as decisions_module
from vscugan.reuse import dependent_frames
from vscugan.reuse.dependent_frames import ALL_FRAMES_AT_ONCE, ENTRY_BYTES
from vscugan.reuse.mode import SourceFrame, Target

pytestmark = pytest.mark.usefixtures("one_thread")


def seeks(kind: str) -> list[int]:
    """Far seeks in a clip of 4000 frames, as slices, SelectEvery and FrameEval make them."""
    if kind == "slice":
        return list(range(4000))[90:2000:96]
    if kind == "SelectEvery":
        return list(range(80, 4000, 97))
    return [random.Random(1).randrange(4000) for _ in range(60)]


@pytest.mark.usefixtures("nothing_differs")
@pytest.mark.parametrize("in_flight", [4, 8, 32])
@pytest.mark.parametrize("kind", ["slice", "SelectEvery", "random"])
def test_far_seeks_decide_each_frame_on_their_way_once(
    kind: str, in_flight: int, added: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions_module, "STATES_BYTES", 3 * FRAME_BYTES)  # hardly anything but what is waited for
    requests = seeks(kind)
    most = sum(n % 96 + 1 for n in requests)
    mode = mode_of("scene")

    def watch() -> None:
        assert len(added) <= most
        # a reference and the source of the gates for each epoch that is waited for; what was decided last stays too
        assert mode._decisions._states.bytes <= (3 + 2 * min(in_flight, len(requests)) + 2) * FRAME_BYTES
        assert len(mode._sources) <= in_flight

    served(mode, requests, in_flight=in_flight, watch=watch)
    if kind == "slice":
        assert len(added) == most == 1820
    assert mode._decisions._states.bytes <= 3 * FRAME_BYTES
    assert mode._decisions.awaited == 0


@pytest.mark.usefixtures("eight_threads")
def test_far_seeks_by_threads_end(tiny: vs.VideoNode, core: Any, added: list[int]) -> None:
    clip = core.std.Loop(tiny, 8)
    up = core.cugan.Upscale(clip, reuse="still", segment=8, backend="torch")[30:240:32]
    assert sum(1 for _ in up.frames(prefetch=7, close=True)) == 7
    assert len(added) == 7 * 31


def test_a_source_that_is_made_of_earlier_results_ends(tiny: vs.VideoNode, core: Any) -> None:
    up = None

    def of_the_frame_before(n: int) -> vs.VideoNode:
        return tiny if up is None or not n else core.std.Loop(up[n - 1].resize.Bicubic(tiny.width, tiny.height), 0)

    threads = core.num_threads
    core.num_threads = 2
    try:
        up = core.cugan.Upscale(core.std.FrameEval(tiny, of_the_frame_before), reuse="still", backend="torch")
        up.get_frame(17).close()
    finally:
        core.num_threads = threads


def test_the_more_wait_the_less_each_asks_for_at_once() -> None:
    for waiting, most in ((1, 8), (8, 8), (32, 2), (100, 1)):
        mode = mode_of()
        for n in range(waiting):
            mode.begin(96 * n + 90)
        asked = mode.compute(90, {90: SourceFrame(rgb=moving_box(90))}, Target(planes=[], frame=None), {})
        assert asked == list(range(most))
        assert waiting * most <= max(ALL_FRAMES_AT_ONCE, waiting)


class Gateless(PlainEngine):
    """Of a network without gates, whose gates are therefore of no size."""

    def render(
        self, source: np.ndarray, n: int, gates: FrameGates | None = None, *, with_gates: bool = True
    ) -> tuple[list[np.ndarray], FrameGates]:
        return [source.copy()], ((),) if with_gates else ()


@pytest.mark.parametrize("kind", ["still", "scene"])
def test_gates_of_a_network_without_gates_are_bounded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependent_frames, "GATES_BYTES", 10 * ENTRY_BYTES)
    mode = mode_of(kind)
    mode._engine = Gateless()
    most = 0
    for n in range(40):
        planes = list(np.zeros((3, 48, 64), np.float32))
        mode.begin(n)
        # each is a scene of its own, and gives gates to itself
        answer = mode.compute(n, {n: SourceFrame(rgb=moving_box(n), cut=True)}, Target(planes=planes, frame=None), {})
        mode.end(n)
        assert answer == (None, {"CuganReused": 0.0, "CuganSegment": n})
        assert np.array_equal(planes, moving_box(n))
        most = max(most, len(mode._gates))
    assert most == len(mode._gates) == 10
    assert mode._gates.get(39) == ((),)
    assert mode._gates.get(29) is None


@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from(["still", "scene"]), st.integers(1, 12), st.integers(0, 2**32), st.sets(st.integers(0, 59)),
    st.sampled_from([3, 6, 24]),
)  # fmt: skip
def test_a_lost_frame_fails_alone_in_any_order(
    kind: str, in_flight: int, seed: int, lost: set[int], segment: int
) -> None:
    wanted = served(mode_of(kind, segment=segment), range(60), lost=lost)
    assert {n for n, result in wanted.items() if not result} == lost
    order = random.Random(seed).choices(range(60), k=80)
    mode = mode_of(kind, segment=segment, limit=1 + seed % 3 * FRAME_BYTES)
    got = served(mode, order, in_flight=in_flight, seed=seed, lost=lost)
    assert got == {n: wanted[n] for n in order}


@pytest.mark.parametrize("kind", ["still", "scene"])
def test_a_frame_that_was_read_and_is_lost_later_is_named(kind: str) -> None:
    mode = mode_of(kind)
    served(mode, range(10))
    mode._gates.clear()
    if kind == "still":
        mode._accumulators.clear()
    with pytest.raises(FrameError) as caught:
        served(mode, [9], lost=[0])
    assert str(caught.value) == f"frame 0 must stay readable for frame 9, got {LOST}; ask for frame 9 again"
    assert served(mode, [9], lost=[0]).keys() == {9}  # asked for again it starts behind the lost one


def lossy(core: Any, clip: vs.VideoNode, lost: set[int]) -> vs.VideoNode:
    """The clip less what can't be read."""

    def read(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        if n in lost:
            raise RuntimeError(LOST)
        return f

    return core.std.ModifyFrame(clip, clip, read)


def failed(up: vs.VideoNode, order: list[int], wanted: dict[int, bytes]) -> dict[int, str]:
    """The frames that fail, and why; the others are compared."""
    errors = {}
    for n, future in [(n, up.get_frame_async(n)) for n in order]:
        try:
            assert bits(future.result()) == wanted[n], n
        except vs.Error as error:
            errors[n] = str(error)
    return errors


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize("arguments", [{"reuse": "still"}, {"gates": "scene"}], ids=["still", "scene"])
def test_a_lost_source_frame_loses_no_other(tiny: vs.VideoNode, core: Any, arguments: dict[str, str]) -> None:
    clip, lost = tiny[:12], {3, 9}
    source = lossy(core, clip, lost)

    def upscaled() -> vs.VideoNode:
        return core.cugan.Upscale(source, segment=4, backend="torch", **arguments)

    up = upscaled()
    wanted = {n: bits(up.get_frame(n)) for n in range(12) if n not in lost}
    errors = failed(upscaled(), random.Random(0).sample(range(12), 12), wanted)
    assert set(errors) == lost
    assert all(LOST in message for message in errors.values())
    lost.clear()
    up.get_frame(3)  # it can be read now, and is computed by itself
    assert bits(up.get_frame(4)) == wanted[4]


def test_a_frame_that_is_refused_or_whose_alpha_is_lost_loses_no_other(tiny: vs.VideoNode, core: Any) -> None:
    clip = tiny[:8].resize.Bicubic(format=vs.RGBS)
    fields = clip.std.SetFrameProps(_FieldBased=1)
    mixed = core.std.Splice([clip[:3], fields[3], clip[4:]])
    alpha = lossy(core, core.std.BlankClip(format=vs.GRAYS, width=64, height=48, length=8, color=0.5, keep=True), {5})
    up = core.cugan.Upscale(mixed, alpha_clip=alpha, reuse="still", segment=4, backend="torch")
    wanted = {n: bits(up.get_frame(n)) for n in (0, 1, 2, 4, 6, 7)}
    again = core.cugan.Upscale(mixed, alpha_clip=alpha, reuse="still", segment=4, backend="torch")
    errors = failed(again, [7, 5, 3, 2, 6, 4, 1, 0], wanted)
    assert set(errors) == {3, 5}
    assert errors[3] == (
        "cugan.Upscale: frame 3 must be progressive, got _FieldBased=1; deinterlace or match fields first "
        "(bwdif, vivtc), or std.SetFieldBased(clip, 0) where the flag is wrong"
    )
    assert LOST in errors[5]


@pytest.mark.parametrize("kind", ["still", "scene"])
def test_a_mode_goes_with_its_last_reference(kind: str) -> None:
    """It holds the engine and the log, which must not outlive VapourSynth's core: no reference cycles."""
    mode = mode_of(kind)
    served(mode, range(5))
    gone = weakref.ref(mode)
    gc.disable()
    try:
        del mode
        assert gone() is None
    finally:
        gc.enable()
