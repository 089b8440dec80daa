"""What the measurements of ``vscugan benchmark`` share."""

from __future__ import annotations

from itertools import pairwise

import pytest
import vapoursynth as vs

from vscugan.cli import turns
from vscugan.cli.turns import Contestant, check_count, moving_clip, read_size, seconds_a_frame, warm_frames
from vscugan.errors import ArgumentError


def test_read_size() -> None:
    assert read_size("320x180", 2, "320x180") == (320, 180)
    assert read_size("1920x1080", 4, "1920x1080") == (1920, 1080)


@pytest.mark.parametrize("text", ["", "320", "320x", "320x181", "0x180", "-2x2", "320x180x3", "wide"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ArgumentError) as error:
        read_size(text, 2, "320x180")
    assert str(error.value) == f"size must be WIDTHxHEIGHT of even numbers, got {text}; use 320x180"


def test_counts_are_at_least_one() -> None:
    check_count("turns", 1)
    with pytest.raises(ArgumentError) as error:
        check_count("turns", 0)
    assert str(error.value) == "turns must be at least 1, got 0; leave it out for the default"


def test_no_frame_is_like_the_one_before() -> None:
    clip = moving_clip(64, 48, frames=4, format=vs.YUV420P8)
    assert (clip.width, clip.height, len(clip)) == (64, 48, warm_frames() + 4)
    colours = [tuple(frame[plane][0, 0] for plane in range(3)) for frame in clip.frames(close=True)]
    assert all(one != other for one, other in pairwise(colours))


def test_contestants_take_turns_with_the_frames_after_the_warm_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[tuple[str, int, int]] = []
    monkeypatch.setattr(turns, "compute", computed.append)

    class Clip:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getitem__(self, frames: slice) -> tuple[str, int, int]:
            return self.name, frames.start - warm_frames(), frames.stop - warm_frames()

    contestants = {name: Contestant(clip=Clip(name), report={}) for name in "ABC"}
    seconds = seconds_a_frame(contestants, turns=2, frames=3)
    assert [len(times) for times in seconds.values()] == [2, 2, 2]
    assert computed == [("A", 0, 3), ("B", 0, 3), ("C", 0, 3), ("A", 3, 6), ("B", 3, 6), ("C", 3, 6)]
