"""Reuse with many frames in flight: bounded work, bounded memory, and nothing that depends on the order of requests."""

from __future__ import annotations

import gc
import random
import tracemalloc
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import vapoursynth as vs
from hypothesis import given, settings
from hypothesis import strategies as st
from support.frames import bits

from vscugan.engine.engine import Rendered, Spent
from vscugan.errors import FrameError
from vscugan.reuse import chain as chain_module
from vscugan.reuse.chain import DECISIONS_BYTES, EPOCH_SEGMENTS, STATES_BYTES, Chain
from vscugan.reuse.chained import ALL_FRAMES_AT_ONCE, HeldGates, StillBlocks
from vscugan.reuse.mode import Mode, Source, Target

SIZE = (48, 64)
FRAME_BYTES = 3 * 48 * 64 * 4
LOST = "the disk is gone"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The frames are too small for more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class PlainEngine:
    """Shows the source as it is, plus the number of the frame whose gates it used: a wrong picture is seen."""

    tells_gates = True

    def __init__(self) -> None:
        self.spent, self.rendered = Spent(), list[int]()

    def _with(self, picture: np.ndarray, gates: Any) -> torch.Tensor:
        return torch.from_numpy(picture) + gates[0][0]

    def render(self, picture: np.ndarray, n: int, gates: Any = None, *, with_gates: bool = True) -> Rendered:
        self.rendered.append(n)
        gates = gates or ((torch.tensor(float(n)),),)
        return Rendered(pictures=[self._with(picture, gates)], gates=gates if with_gates else ())

    def repaint(self, pictures: Any, source: np.ndarray, areas: Any, gates: Any, n: int) -> None:
        for area in areas:
            pictures[0][:, *area.index] = self._with(source, gates)[:, *area.index]

    def show(self, picture: torch.Tensor, source: np.ndarray, planes: list[np.ndarray], n: int) -> None:
        for plane, values in zip(planes, picture.numpy(), strict=True):
            plane[:] = values

    def upscale(self, source: np.ndarray, planes: Any, n: int, gates: Any = None, *, with_gates: bool = False) -> Any:
        rendered = self.render(source, n, gates, with_gates=True)
        self.show(rendered.pictures[0], source, planes, n)
        return rendered.gates if with_gates else ()


def moving_box(n: int) -> np.ndarray:
    """(3, 48, 64): a picture that slowly gets lighter, and a box that moves in it; another scene every 70 frames."""
    picture = np.full((3, *SIZE), 0.2 + n // 70 % 3 * 0.2 + n % 96 / 255 / 24, np.float32)
    picture[:, 8 : 8 + n % 5, n % 50 : n % 50 + 9] += 0.12
    return picture


def mode_of(kind: str = "still", *, segment: int = 24, limit: int = 1 << 30) -> Any:
    engine: Any = PlainEngine()
    chain = Chain(segment=segment, threshold=3, halo_px=18, blocks=kind == "still")
    return StillBlocks(engine, chain, limit) if kind == "still" else HeldGates(engine, chain, None)


def served(
    mode: Mode,
    requests: Iterable[int],
    *,
    in_flight: int = 1,
    seed: int = 0,
    lost: Iterable[int] = (),
    watch: Callable[[], object] = lambda: None,
    reports: dict[int, dict[str, Any]] | None = None,
) -> dict[int, bytes]:
    """What the mode makes of ``moving_box``, for requests that go on in a random order; empty for a lost frame.

    This is how the bridge calls it, less the threads: a frame that is asked for twice at once is made once, and a lost
    frame is never handed to ``compute`` as the first. ``reports``: receives the props of each frame.
    """
    todo, running, results, rng = list(requests)[::-1], dict[int, list[int]](), dict[int, bytes](), random.Random(seed)
    while todo or running:
        while todo and len(running) < in_flight:
            n = todo.pop()
            if n not in running:
                mode.begin(n)
                running[n] = [n]
        n = rng.choice(list(running))
        planes = list(np.zeros((3, *SIZE), np.float32))
        if n in lost:
            answer: Any = (None, {})
        else:
            sources = {k: Source(picture=moving_box(k)) for k in running[n] if k not in lost}
            unreadable = {k: LOST for k in running[n] if k in lost}
            answer = mode.compute(n, sources, Target(planes=planes, frame=None), unreadable)
        watch()
        if isinstance(answer, list):
            assert answer
            running[n] = answer
            continue
        if reports is not None:
            reports[n] = answer[1]
        mode.end(n)
        del running[n]
        results[n] = b"" if n in lost else np.stack(planes).tobytes()
    return results


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every frame that a chain decides."""
    frames: list[int] = []
    add = Chain.add
    monkeypatch.setattr(Chain, "add", lambda self, n, *rest: frames.append(n) or add(self, n, *rest))
    return frames


@pytest.fixture
def nothing_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that count: decisions cost no time."""
    monkeypatch.setattr(chain_module, "differences", lambda a, b: np.zeros((6, 8), np.float32))


def seeks(kind: str) -> list[int]:
    """Far seeks in a clip of 4000 frames, as slices, SelectEvery and FrameEval make them."""
    if kind == "slice":
        return list(range(4000))[90:2000:96]
    if kind == "SelectEvery":
        return list(range(80, 4000, 97))
    return [random.Random(1).randrange(4000) for _ in range(60)]


# ---- far seeks


@pytest.mark.usefixtures("nothing_differs")
@pytest.mark.parametrize("in_flight", [4, 8, 32])
@pytest.mark.parametrize("kind", ["slice", "SelectEvery", "random"])
def test_far_seeks_decide_each_frame_on_their_way_once(
    kind: str, in_flight: int, added: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_module, "STATES_BYTES", 3 * FRAME_BYTES)  # hardly anything but what is waited for
    requests = seeks(kind)
    most = sum(n % 96 + 1 for n in requests)
    mode = mode_of("scene")

    def watch() -> None:
        assert len(added) <= most
        # a reference and the source of the gates for each epoch that is waited for; what was decided last stays too
        assert mode._chain._states.bytes <= (3 + 2 * min(in_flight, len(requests)) + 2) * FRAME_BYTES
        assert len(mode._sources) <= in_flight

    served(mode, requests, in_flight=in_flight, watch=watch)
    if kind == "slice":
        assert len(added) == most == 1820
    assert mode._chain._states.bytes <= 3 * FRAME_BYTES
    assert mode._chain.awaited == 0


def test_far_seeks_by_threads_end(tiny: vs.VideoNode, core: Any, added: list[int]) -> None:
    clip = core.std.Loop(tiny, 8)
    threads = core.num_threads
    core.num_threads = 8
    try:
        up = core.cugan.Upscale(clip, reuse="still", segment=8, backend="torch")[30:240:32]
        assert sum(1 for _ in up.frames(prefetch=7, close=True)) == 7
    finally:
        core.num_threads = threads
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


def test_frames_far_into_their_segment_are_begun_once_each_with_little_memory() -> None:
    """A frame that needs more sources than it may ask for at once keeps its half-made picture meanwhile."""
    mode = mode_of(limit=1)
    requests = [n + 20 for n in range(0, 96 * 20, 96)]
    bases = []

    def watch() -> None:
        assert len(mode._engine.rendered) <= 2 * len(requests)  # each its base, and the gates' source
        bases.append(mode._accumulators.bytes // FRAME_BYTES)

    served(mode, requests, in_flight=16, watch=watch)
    assert max(bases) <= 16 + 1  # one for each that is waited for, and the last one
    assert mode._accumulators.bytes <= FRAME_BYTES
    assert not mode._unfinished


def test_the_more_wait_the_less_each_asks_for_at_once() -> None:
    for waiting, most in ((1, 8), (8, 8), (32, 2), (100, 1)):
        mode = mode_of()
        for n in range(waiting):
            mode.begin(96 * n + 90)
        asked = mode.compute(90, {90: Source(picture=moving_box(90))}, Target(planes=[], frame=None))
        assert asked == list(range(most))
        assert waiting * most <= max(ALL_FRAMES_AT_ONCE, waiting)


# ---- frames that can't be read


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


def test_what_follows_a_lost_frame_starts_anew() -> None:
    chain = Chain(segment=24, threshold=3, halo_px=18, blocks=True)
    for n in range(48):
        assert chain.next_undecided(n) == n
        chain.add(n, None if n in (0, 5, 6, 24) else moving_box(n))
    assert {n: chain[n].segment for n in (1, 4, 7, 23, 25, 47)} == {1: 1, 4: 1, 7: 7, 23: 7, 25: 25, 47: 25}
    assert all(chain[n].base == chain[n].gates_of == n for n in (1, 7, 25))
    assert all(any(chain[n].areas for n in range(*span)) for span in ((1, 5), (7, 24), (25, 48)))


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


@pytest.mark.parametrize("arguments", [{"reuse": "still"}, {"gates": "scene"}], ids=["still", "scene"])
def test_a_lost_source_frame_loses_no_other(
    tiny: vs.VideoNode, core: Any, arguments: dict[str, str]
) -> None:
    clip, lost = tiny[:12], {3, 9}
    source = lossy(core, clip, lost)

    def upscaled() -> vs.VideoNode:
        return core.cugan.Upscale(source, segment=4, backend="torch", **arguments)

    up = upscaled()
    wanted = {n: bits(up.get_frame(n)) for n in range(12) if n not in lost}
    threads = core.num_threads
    core.num_threads = 8
    try:
        errors = failed(upscaled(), random.Random(0).sample(range(12), 12), wanted)
    finally:
        core.num_threads = threads
    assert set(errors) == lost
    assert all(LOST in message for message in errors.values())
    lost.clear()
    up.get_frame(3)  # it can be read now, and is computed by itself
    assert bits(up.get_frame(4)) == wanted[4]


def test_a_frame_that_is_refused_or_whose_alpha_is_lost_loses_no_other(
    tiny: vs.VideoNode, core: Any
) -> None:
    clip = tiny[:8].resize.Bicubic(format=vs.RGBS)
    fields = clip.std.SetFrameProps(_FieldBased=1)
    mixed = core.std.Splice([clip[:3], fields[3], clip[4:]])
    matte = lossy(core, core.std.BlankClip(format=vs.GRAYS, width=64, height=48, length=8, color=0.5, keep=True), {5})
    up = core.cugan.Upscale(mixed, alpha_clip=matte, reuse="still", segment=4, backend="torch")
    wanted = {n: bits(up.get_frame(n)) for n in (0, 1, 2, 4, 6, 7)}
    again = core.cugan.Upscale(mixed, alpha_clip=matte, reuse="still", segment=4, backend="torch")
    errors = failed(again, [7, 5, 3, 2, 6, 4, 1, 0], wanted)
    assert set(errors) == {3, 5}
    assert errors[3] == (
        "cugan.Upscale: frame 3 must be progressive, got _FieldBased=1; deinterlace or match fields first "
        "(bwdif, vivtc), or std.SetFieldBased(clip, 0) where the flag is wrong"
    )
    assert LOST in errors[5]


# ---- what is kept


@pytest.mark.parametrize("states_bytes", [2 * FRAME_BYTES, STATES_BYTES])
def test_decisions_are_bounded_and_decided_again_the_same_way(
    states_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = served(mode_of(segment=4), range(400))
    monkeypatch.setattr(chain_module, "DECISIONS_BYTES", limit := 40_000)
    monkeypatch.setattr(chain_module, "STATES_BYTES", states_bytes)
    mode = mode_of(segment=4)
    order = random.Random(0).choices(range(400), k=80)
    # on from states whose decisions are gone
    order += [16 * epoch + at for at in (8, 13) for epoch in range(25)]

    def watch() -> None:
        an_epoch = 4 * EPOCH_SEGMENTS * 1500
        assert mode._chain._epochs.bytes <= limit + 3 * an_epoch
        assert len(mode._chain._epochs) < 25

    assert served(mode, order, in_flight=3, watch=watch) == {n: wanted[n] for n in order}
    assert mode._chain._epochs.bytes <= limit
    assert DECISIONS_BYTES == 64 << 20


def test_what_a_decision_takes_is_counted() -> None:
    chain = Chain(segment=24, threshold=3, halo_px=18, blocks=True)
    pictures = [np.tile(moving_box(n), (1, 4, 8)) for n in range(12)]  # many areas
    tracemalloc.start()
    try:
        for n, picture in enumerate(pictures):
            chain.add(n, picture)
        del picture
        chain._states.clear()
        taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/vscugan/*")])
    finally:
        tracemalloc.stop()
    assert sum(len(chain[n].areas) for n in range(12)) > 20
    assert sum(line.size for line in taken.statistics("filename")) == pytest.approx(chain._epochs.bytes, rel=0.25)


def test_each_frame_comes_with_its_report() -> None:
    reports: dict[int, dict[str, Any]] = {}
    served(mode_of(), range(30), reports=reports)
    assert [report["CuganSegment"] for report in reports.values()] == [0] * 24 + [24] * 6
    assert reports[0]["CuganReused"] == 0
    assert reports[29] == {"CuganReused": pytest.approx(0.9, abs=0.1), "CuganSegment": 24}


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
