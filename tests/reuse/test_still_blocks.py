"""``reuse=still``: looks as the full result does, whatever the order of requests, and computes nothing twice."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support import motion
from support.frames import arrays_of, bits, bits_of, painted, props_of, psnr
from support.motion import flicker, still_of
from support.plain_engine import FRAME_BYTES, mode_of, served
from support.processes import vspipe

from vscugan.engine.engine import Engine
from vscugan.reuse.changes import CELL_PX

#: random orders of requests over 8 threads
ORDERS = int(os.environ.get("VSCUGAN_ORDERS", "60"))


def test_a_talking_head_costs_little_and_looks_the_same(head: vs.VideoNode, core: Any) -> None:
    clip = head[:36].resize.Bicubic(format=vs.RGBS)
    full = arrays_of(core.cugan.Upscale(clip, reuse="off"))
    still = core.cugan.Upscale(clip, reuse="still", report=1)
    got = arrays_of(still)
    quality = [psnr(a, b) for a, b in zip(got, full, strict=True)]
    assert np.mean(quality) >= 55
    assert min(quality) >= 45
    assert np.mean(props_of(still, "CuganReused")) > 0.75
    assert props_of(still, "CuganSegment") == [0] * 24 + [24] * 12
    # what stands still flickers less than in the full result
    background = (slice(None), slice(None), slice(0, 60))
    assert flicker(got, background) <= flicker(full, background)
    for cells in (1, 4):  # and the blocks leave no grid
        pitch = 2 * cells * CELL_PX
        energies = [sum(motion.grid_energy(frame, pitch) for frame in frames[:24]) for frames in (full, got)]
        assert energies[1] == pytest.approx(energies[0], rel=0.05)


@pytest.mark.usefixtures("eight_threads")
def test_frames_are_the_same_in_every_order_and_thread(tiny: vs.VideoNode) -> None:
    wanted = bits_of(still_of(tiny))
    assert any(p > 0 for p in props_of(still_of(tiny, report=1), "CuganReused"))
    orders = random.Random(1)
    for order in range(ORDERS):
        if order % 10 == 0:  # now and then from nothing
            up = still_of(tiny)
            vs.core.std.SetVideoCache(up, mode=0)
        numbers = orders.sample(range(tiny.num_frames), 10)
        futures = [(n, up.get_frame_async(n)) for n in numbers]
        for n, future in futures:
            assert bits(future.result()) == wanted[n], f"order {order}, frame {n}"


def test_a_frame_that_fails_leaves_nothing_half_painted(core: Any, tiny: vs.VideoNode) -> None:
    clip = tiny[:8].resize.Bicubic(format=vs.RGBS)

    def breaks(n: int, planes: list[np.ndarray]) -> None:
        if n == 6:
            planes[1][40, 60] = np.nan
            planes[1][:24, :24] = 0.5

    broken = still_of(painted(core, clip, breaks))
    core.std.SetVideoCache(broken, mode=0)
    wanted = bits_of(still_of(clip[:6]))
    assert bits(broken.get_frame(5)) == wanted[5]
    with pytest.raises(vs.Error, match="frame 6 must come out finite"):
        broken.get_frame(6)
    assert bits(broken.get_frame(5)) == wanted[5]


@pytest.mark.usefixtures("eight_threads")
def test_reading_in_order_computes_nothing_twice(head: vs.VideoNode, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered, repainted = [], []
    render, repaint = Engine.render, Engine.repaint

    def rendering(self: Engine, source: np.ndarray, n: int = 0, *rest: Any, **named: Any) -> Any:
        rendered.append(n)
        return render(self, source, n, *rest, **named)

    def repainting(self: Engine, results: Any, source: np.ndarray, areas: Any, gates: Any, n: int = 0) -> None:
        repainted.append(n)
        repaint(self, results, source, areas, gates, n)

    monkeypatch.setattr(Engine, "render", rendering)
    monkeypatch.setattr(Engine, "repaint", repainting)
    up = vs.core.cugan.Upscale(head, reuse="still", segment=12)
    assert sum(1 for _ in up.frames(prefetch=8, close=True)) == 60
    assert len(rendered) == len(set(rendered))
    assert len(repainted) == len(set(repainted))
    assert set(range(0, 60, 12)) <= set(rendered)


@pytest.mark.usefixtures("one_thread")
def test_accumulators_are_bounded() -> None:
    mode = mode_of(segment=3, limit=4 * FRAME_BYTES)

    def watch() -> None:
        assert mode._accumulators.bytes <= 4 * FRAME_BYTES

    served(mode, random.Random(0).choices(range(30), k=60), watch=watch)
    assert not mode._sources


@pytest.mark.usefixtures("one_thread")
def test_what_frames_in_flight_wait_for_is_bounded() -> None:
    """For each a source and at most one overtaken result; nothing where none is in flight."""
    wanted = served(mode_of(segment=12), range(96))
    mode, overtaken = mode_of(segment=12), list[int]()

    def watch() -> None:
        overtaken.append(len(mode._overtaken))
        assert all(map(mode._decisions.is_awaited, (*mode._sources, *mode._overtaken)))

    assert served(mode, range(96), in_flight=8, watch=watch) == wanted
    assert 4 <= max(overtaken) < 8
    assert not mode._sources
    assert not mode._overtaken
    assert not mode._decisions.awaited


@pytest.mark.usefixtures("one_thread")
def test_frames_far_into_their_segment_are_begun_once_each_with_little_memory() -> None:
    """A frame that needs more sources than it may ask for at once keeps its half-done result meanwhile."""
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


@pytest.mark.usefixtures("one_thread")
def test_a_frame_is_finished_by_the_decisions_that_it_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another frame may lose a source meanwhile, and have the whole epoch decided anew."""
    wanted = served(mode_of(), range(10))
    mode = mode_of()
    render = mode._engine.render

    def forgetting(source: np.ndarray, n: int, *rest: Any, **named: Any) -> Any:
        mode._decisions.forget(n)
        return render(source, n, *rest, **named)

    monkeypatch.setattr(mode._engine, "render", forgetting)
    assert served(mode, [5]) == {5: wanted[5]}
    assert mode._engine.rendered == [0]


@pytest.fixture(scope="module")
def pan_then_hold(core: Any, picture: np.ndarray) -> vs.VideoNode:
    """RGBS 128x96: a pan of twelve frames, whose last one stays; a box moves in it."""
    blank = core.std.BlankClip(format=vs.RGBS, width=128, height=96, length=18, keep=True)

    def paint(n: int, planes: list[np.ndarray]) -> None:
        left = 40 * min(n, 11)
        for p, plane in enumerate(planes):
            plane[:] = picture[p, 100:196, left : left + 128]
            if n > 12:
                plane[8:16, n : n + 8] = 1

    return painted(core, blank, paint)


def test_a_pan_returns_no_gates_until_they_are_needed(
    pan_then_hold: vs.VideoNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames that are not even compared are hardly ever gone on from; where one is, its gates come after all."""
    with_gates: dict[int, list[bool]] = {}
    render = Engine.render

    def rendering(self: Engine, source: np.ndarray, n: int = 0, *rest: Any, **named: Any) -> Any:
        with_gates.setdefault(n, []).append(named.get("with_gates", True))
        return render(self, source, n, *rest, **named)

    monkeypatch.setattr(Engine, "render", rendering)
    # no cut is marked or found, so that frames are whole because too much of them changes
    clip = pan_then_hold.std.SetFrameProps(_SceneChangePrev=0)
    up = vs.core.cugan.Upscale(clip, reuse="still", segment=12, backend="torch", report=1)
    in_order = bits_of(up)
    assert [with_gates[n] for n in range(9)] == [[True]] * 9
    assert [with_gates[n] for n in (9, 10)] == [[False]] * 2
    assert with_gates[11] == [False, True]  # the frame itself, and its gates for those that follow
    assert with_gates[12] == [False]  # whole, with the gates of frame 11
    assert all(share > 0.5 for share in props_of(up, "CuganReused")[13:])
    for n in (17, 12, 14):
        alone = vs.core.cugan.Upscale(clip, reuse="still", segment=12, backend="torch")
        assert bits(alone.get_frame(n)) == in_order[n]


SCRIPT = """import vapoursynth as vs
core = vs.core
clip = core.bs.VideoSource({path!r}, cachemode=0).std.Crop(left=240, top=116, right=336, bottom=196)
core.cugan.Upscale(clip, reuse="still", segment=6).set_output()
"""


def test_two_processes_on_the_grid_make_what_one_makes(tmp_path: Path) -> None:
    path = motion.encoded(tmp_path / "head.mkv", motion.talking_head(24))
    script = tmp_path / "clip.vpy"
    script.write_text(SCRIPT.format(path=str(path)), encoding="utf-8")
    runs = [vspipe(str(script), "-", "-s", str(a), "-e", str(b)) for a, b in ((0, 23), (0, 11), (12, 23))]
    assert all(run.returncode == 0 for run in runs), [run.stderr for run in runs]
    whole, first, second = (run.stdout for run in runs)
    assert len(whole) == 24 * 128 * 96 * 3 // 2
    assert first + second == whole
    assert b"reuse: 24 frames" in runs[0].stderr


def test_scene_change_props_begin_a_segment(core: Any, tiny: vs.VideoNode) -> None:
    marked = [tiny[n].std.SetFrameProps(_SceneChangePrev=int(n == 3)) for n in range(8)]
    clip = core.std.Splice(marked)
    still = core.cugan.Upscale(clip, reuse="still", report=1, backend="torch")
    assert props_of(still, "CuganSegment") == [0] * 3 + [3] * 5
    assert still.get_frame(3).props["CuganReused"] == 0
    own = core.cugan.Upscale(clip, reuse="off", backend="torch")
    assert bits(still.get_frame(3)) == bits(own.get_frame(3))
