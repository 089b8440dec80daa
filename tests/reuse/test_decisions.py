"""Decisions: what is called still is still, they follow from the sources alone, and take a bounded memory."""

from __future__ import annotations

import gc
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.motion import cell_means
from support.plain_engine import FRAME_BYTES, mode_of, moving_box, served

from vscugan.reuse import decisions as decisions_module
from vscugan.reuse.areas import BorderCost
from vscugan.reuse.decisions import DECISIONS_BYTES, EPOCH_SEGMENTS, GIVE_UP_AFTER, STATES_BYTES, Decisions

BORDER = BorderCost(rectangle_px=18, frame_px=18)


def moving_patches(seed: int, count: int) -> list[np.ndarray]:
    """Noise of up to 1 code over a still, and a patch that comes, moves and stays away."""
    rng = np.random.default_rng(seed)
    still = rng.random((3, 72, 104), dtype=np.float32)
    frames = []
    y, x = rng.integers(0, 50, 2)
    for _ in range(count):
        frame = still + rng.uniform(-1 / 255, 1 / 255, still.shape).astype(np.float32)
        if rng.random() < 0.7:
            y, x = (int(np.clip(p + rng.integers(-9, 10), 0, 60)) for p in (y, x))
            frame[:, y : y + 7, x : x + 9] = rng.random((3, 1, 1), dtype=np.float32)
        if rng.random() < 0.05:
            still = rng.random(still.shape, dtype=np.float32)
        frames.append(frame.astype(np.float32))
    return frames


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 3.0, 6.0]))
def test_what_is_called_still_is_within_the_threshold_of_what_it_was_computed_from(seed: int, threshold: float) -> None:
    frames = moving_patches(seed, 40)
    decisions = Decisions(segment=12, threshold=threshold, border=BORDER, blocks=True)
    computed_from = frames[0].copy()
    parts = 0
    for n, frame in enumerate(frames):
        assert decisions.next_undecided(n) == n
        decisions.add(n, frame, None)
        decision = decisions[n]
        if decision.base == n:
            computed_from = frame.copy()
        else:
            parts += 1
            for area in decision.areas:
                computed_from[:, *area.index] = frame[:, *area.index]
        assert cell_means(computed_from, frame).max() <= threshold * (1 + 1e-5)
        assert (n % 12 == 0) <= (decision.base == decision.segment == n)
    assert parts


def test_a_decision_follows_from_its_epoch_alone() -> None:
    frames = moving_patches(3, 60)
    one = Decisions(segment=6, threshold=3, border=BORDER, blocks=True)
    for n, frame in enumerate(frames):
        one.add(n, frame, None)
    for n in random.Random(0).sample(range(60), 60):
        other = Decisions(segment=6, threshold=3, border=BORDER, blocks=True)
        read = []
        while (k := other.next_undecided(n)) is not None:
            read.append(k)
            other.add(k, frames[k], None)
        assert read == list(range(n - n % (6 * EPOCH_SEGMENTS), n + 1))
        assert other[n] == one[n]


def test_gates_go_on_into_the_next_segment_until_the_frames_have_moved_away() -> None:
    still = np.random.default_rng(0).random((3, 48, 64), dtype=np.float32)
    frames = [still + np.float32(n / 40 / 255) for n in range(120)]  # three codes in all
    decisions = Decisions(segment=24, threshold=3, border=BORDER, blocks=True)
    for n, frame in enumerate(frames):
        decisions.add(n, frame, None)
    assert {n: decisions[n].gate_source for n in (0, 24, 72, 80, 81, 95, 96)} == {
        0: 0, 24: 0, 72: 0, 80: 0, 81: 81, 95: 81, 96: 96,
    }  # fmt: skip
    assert [n for n in range(120) if decisions[n].base == n] == [0, 24, 48, 72, 81, 96]


def test_a_segment_that_only_moves_is_not_compared_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    differences = decisions_module.differences
    decisions = Decisions(segment=24, threshold=3, border=BORDER, blocks=True)
    rng = np.random.default_rng(0)

    def comparing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        compared.append(n)
        return differences(a, b)

    monkeypatch.setattr(decisions_module, "differences", comparing)
    for n in range(24):
        decisions.add(n, 0.1 * rng.random((3, 48, 64), dtype=np.float32), None)
        assert decisions[n].base == decisions[n].gate_source == n
        assert decisions[n].segment == 0
    assert set(compared) == set(range(1, 1 + GIVE_UP_AFTER))


def test_a_scene_begins_a_segment_where_no_prop_says_so() -> None:
    rng = np.random.default_rng(0)
    scenes = rng.random((2, 3, 48, 64), dtype=np.float32)
    for blocks in (True, False):
        decisions = Decisions(segment=24, threshold=3, border=BORDER, blocks=blocks)
        for n in range(26):
            decisions.add(n, scenes[n // 5 % 2], False if n == 20 else None)
        assert [decisions[n].segment for n in (0, 4, 5, 9, 10, 19, 20, 23, 24)] == [0, 0, 5, 5, 10, 15, 15, 15, 24]
        assert decisions[20].gate_source == (20 if blocks else 15)


def test_what_follows_a_lost_frame_starts_anew() -> None:
    decisions = Decisions(segment=24, threshold=3, border=BORDER, blocks=True)
    for n in range(48):
        assert decisions.next_undecided(n) == n
        decisions.add(n, None if n in (0, 5, 6, 24) else moving_box(n))
    assert {n: decisions[n].segment for n in (1, 4, 7, 23, 25, 47)} == {1: 1, 4: 1, 7: 7, 23: 7, 25: 25, 47: 25}
    assert all(decisions[n].base == decisions[n].gate_source == n for n in (1, 7, 25))
    assert all(any(decisions[n].areas for n in range(*span)) for span in ((1, 5), (7, 24), (25, 48)))


@pytest.mark.parametrize("states_bytes", [2 * FRAME_BYTES, STATES_BYTES])
def test_decisions_are_bounded_and_decided_again_the_same_way(
    states_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = served(mode_of(segment=4), range(400))
    monkeypatch.setattr(decisions_module, "DECISIONS_BYTES", limit := 40_000)
    monkeypatch.setattr(decisions_module, "STATES_BYTES", states_bytes)
    mode = mode_of(segment=4)
    order = random.Random(0).choices(range(400), k=80)
    # on from states whose decisions are gone
    order += [16 * epoch + at for at in (8, 13) for epoch in range(25)]

    def watch() -> None:
        an_epoch = 4 * EPOCH_SEGMENTS * 1500
        assert mode._decisions._epochs.bytes <= limit + 3 * an_epoch
        assert len(mode._decisions._epochs) < 25

    assert served(mode, order, in_flight=3, watch=watch) == {n: wanted[n] for n in order}
    assert mode._decisions._epochs.bytes <= limit
    assert DECISIONS_BYTES == 64 << 20


def test_what_a_decision_takes_is_counted_once() -> None:
    decisions = Decisions(segment=24, threshold=3, border=BORDER, blocks=True)
    for _ in range(2):  # the second time because the chain state was dropped
        for n in range(24):
            decisions.add(n, moving_box(n))
        assert decisions._epochs.bytes == sum(decisions[n].bytes for n in range(24))
        decisions._states.clear()


def test_what_a_decision_takes_is_measured() -> None:
    decisions = Decisions(segment=24, threshold=3, border=BORDER, blocks=True)
    frames = [np.tile(moving_box(n), (1, 4, 8)) for n in range(12)]  # many areas
    gc.collect()  # empties the lists of free objects, whose memory was taken before
    tracemalloc.start()
    try:
        for n, frame in enumerate(frames):
            decisions.add(n, frame)
        del frame
        decisions._states.clear()
        taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/vscugan/*")])
    finally:
        tracemalloc.stop()
    assert sum(len(decisions[n].areas) for n in range(12)) > 20
    assert sum(line.size for line in taken.statistics("filename")) == pytest.approx(decisions._epochs.bytes, rel=0.25)
