"""A source frame that can't be read fails its own output frame; others that need it are told why."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.clips import message
from support.frames import planes

Change = Callable[[Callable[[Any], object]], object]
LOST = "the disk is gone"


@pytest.fixture
def unreadable(changed: Change) -> dict[int, dict[int, str]]:
    """Every frame needs the next one, too; by frame: what could not be read for it."""
    seen: dict[int, dict[int, str]] = {}

    def change(graph: Any) -> None:
        stage = graph.stages[0]
        stage.reads_others, stage.begin, stage.end = True, lambda n: None, lambda n: None
        compute, first = stage.compute, dict[int, Any]()

        def both(n: int, frames: dict[int, Any], lost: dict[int, str], target: Any, frame: object) -> object:
            if n not in first:
                first[n] = [np.array(plane) for plane in frames[n][0]]
                return [n + 1]
            assert frames.keys() | lost.keys() == {n + 1}
            seen[n] = lost
            return compute(n, {n: (first.pop(n), {})}, {}, target, frame)

        stage.compute = both

    changed(change)
    return seen


def lossy(core: Any, clip: vs.VideoNode, lost: dict[int, str]) -> vs.VideoNode:
    """The clip less the frames that can't be read, by their messages."""

    def read(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        if n in lost:
            raise RuntimeError(lost[n])
        return f

    return core.std.ModifyFrame(clip, clip, read)


@pytest.mark.parametrize("format", [vs.RGBS, vs.YUV420P8])
def test_a_lost_frame_fails_alone_and_those_that_need_it_know_why(
    format: int, core: Any, unreadable: dict[int, dict[int, str]]
) -> None:
    clip = core.std.BlankClip(format=format, width=32, height=16, length=6)
    up = core.cugan.Upscale(lossy(core, clip, {2: LOST}))
    futures = {n: up.get_frame_async(n) for n in (1, 2, 0, 3)}
    for n in (0, 1, 3):
        assert futures[n].result().width == 64
    assert LOST in message(futures[2].result)
    assert [list(unreadable[n]) for n in (0, 1, 3)] == [[], [2], []]
    assert LOST in unreadable[1][2]


def test_a_frame_whose_alpha_is_lost_is_lost(core: Any, unreadable: dict[int, dict[int, str]]) -> None:
    clip = core.std.BlankClip(format=vs.RGBS, width=32, height=16, length=6)
    alpha = core.std.BlankClip(format=vs.GRAYS, width=32, height=16, length=6, color=1)
    up = core.cugan.Upscale(clip, alpha_clip=lossy(core, alpha, {3: LOST}))
    assert [up.get_frame(n).width for n in (1, 2)] == [64, 64]
    assert LOST in message(lambda: up.get_frame(3))
    assert (unreadable[1], list(unreadable[2])) == ({}, [3])
    assert LOST in unreadable[2][3]


def test_a_message_that_is_cut_within_a_letter_is_still_one(core: Any, unreadable: dict[int, dict[int, str]]) -> None:
    """VapourSynth's buffer for it holds 8192 bytes, so one of the two is cut in the middle of a letter."""
    clip = core.std.BlankClip(format=vs.RGBS, width=32, height=16, length=6)
    ends = set()
    for shift in ("", "x"):
        up = core.cugan.Upscale(lossy(core, clip, {2: shift + "ü" * 6000}))
        assert up.get_frame(1).width == 64
        ends.add(unreadable[1][2].removeprefix(shift)[-2:])
        assert "üü" in message(partial(up.get_frame, 2))
    assert ends == {"üü", "ü\ufffd"}


def test_a_frame_without_a_message_can_be_read_once_it_is_there(
    core: Any, unreadable: dict[int, dict[int, str]]
) -> None:
    lost = {2: ""}
    clip = core.std.BlankClip(format=vs.RGBS, width=32, height=16, length=6, color=[0.25, 0.5, 0.75])
    up = core.cugan.Upscale(lossy(core, clip, lost))
    with pytest.raises(vs.Error):
        up.get_frame(2)
    up.get_frame(1).close()
    assert unreadable[1].keys() == {2}
    assert unreadable[1][2]
    lost.clear()
    assert [float(plane.mean()) for plane in planes(up.get_frame(2))] == [0.25, 0.5, 0.75]
    assert not unreadable[2]
