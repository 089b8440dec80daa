"""Reuse: what is called still is still, a frame depends on its number alone, and nothing is computed twice."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from hypothesis import given, settings
from hypothesis import strategies as st
from support import motion
from support.frames import bits, bits_of, or_int8_is_refused, painted, planes, psnr
from support.motion import still_of
from support.processes import vspipe

from vscugan import engine as engine_module
from vscugan.engine.engine import Engine, Spent
from vscugan.reuse.areas import areas_to_compute
from vscugan.reuse.chain import EPOCH_SEGMENTS, Chain
from vscugan.reuse.chained import StillBlocks
from vscugan.reuse.changes import CELL_PX, changed, differences
from vscugan.reuse.contents import Contents, content_hash
from vscugan.reuse.lru_cache import LRUCache
from vscugan.reuse.mode import Counts, Source, Target
from vscugan.settings import validate
from vscugan.tiling.geometry import Rectangle, Span

DATA = Path(__file__).parent.parent / "data"
HALO_PX = 18
#: random orders of requests over 8 threads
ORDERS = int(os.environ.get("VSCUGAN_ORDERS", "60"))


def frames_of(clip: vs.VideoNode) -> list[np.ndarray]:
    return [np.stack(planes(clip.get_frame(n))) for n in range(clip.num_frames)]


def flicker(frames: list[np.ndarray], part: tuple[slice, ...]) -> float:
    """Mean absolute change from frame to frame."""
    return float(np.mean([np.abs(b - a)[part].mean() for a, b in pairwise(frames)]))


def props_of(clip: vs.VideoNode, name: str) -> list[Any]:
    return [clip.get_frame(n).props[name] for n in range(clip.num_frames)]


# ---- which cells have changed, and what is computed for them


def cell_means(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """As ``differences``, cell by cell."""
    height, width = a.shape[1:]
    return np.array(
        [
            [
                255 * np.abs(a - b)[:, y : y + CELL_PX, x : x + CELL_PX].mean(axis=(1, 2)).max()
                for x in range(0, width, CELL_PX)
            ]
            for y in range(0, height, CELL_PX)
        ]
    )


@pytest.mark.parametrize("size", [(48, 64), (51, 61), (8, 8), (3, 5)])
def test_differences_are_means_of_cells_in_codes(size: tuple[int, int]) -> None:
    a, b = np.random.default_rng(0).random((2, 3, *size), dtype=np.float32)
    assert np.allclose(differences(a, b), cell_means(a, b), rtol=1e-5)
    b[0, 2, 1] = np.nan
    assert changed(differences(a, b), 16)[0, 0]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 30), st.integers(1, 30), st.floats(0, 1), st.integers(0, 2**32 - 1), st.integers(0, 2),
    st.integers(1, 8), st.integers(1, 8),
)  # fmt: skip
def test_areas_hold_every_changed_cell(
    rows: int, columns: int, share: float, seed: int, margin: int, last_row: int, last_column: int
) -> None:
    cells = np.random.default_rng(seed).random((rows, columns)) < share * share
    size = (rows * CELL_PX - CELL_PX + last_row, columns * CELL_PX - CELL_PX + last_column)
    areas = areas_to_compute(cells, size, halo_px=HALO_PX, margin_cells=margin, most=0.8)
    if areas is None:
        assert cells.any()
        return
    covered = np.zeros(size, bool)
    for area in areas:
        assert area.area > 0
        assert area.rows.stop <= size[0]
        assert area.columns.stop <= size[1]
        covered[area.index] = True
    for y, x in zip(*np.nonzero(cells), strict=True):
        around = [slice(max(0, (i - margin) * CELL_PX), (i + 1 + margin) * CELL_PX) for i in (y, x)]
        assert covered[around[0], around[1]].all()
    assert bool(areas) == bool(cells.any())


def test_neighbours_are_joined_and_distant_ones_are_not() -> None:
    cells = np.zeros((45, 80), bool)
    cells[2, 2] = cells[2, 5] = cells[40, 70] = True
    areas = areas_to_compute(cells, (360, 640), halo_px=HALO_PX, margin_cells=0, most=0.8)
    assert areas is not None
    assert [(a.rows.start, a.columns.start, a.rows.stop, a.columns.stop) for a in areas] == [
        (16, 16, 24, 48),
        (320, 560, 328, 568),
    ]


def moving_patches(seed: int, frames: int) -> list[np.ndarray]:
    """Noise of up to 1 code over a still picture, and a patch that comes, moves and stays away."""
    rng = np.random.default_rng(seed)
    still = rng.random((3, 72, 104), dtype=np.float32)
    pictures = []
    y, x = rng.integers(0, 50, 2)
    for _ in range(frames):
        picture = still + rng.uniform(-1 / 255, 1 / 255, still.shape).astype(np.float32)
        if rng.random() < 0.7:
            y, x = (int(np.clip(p + rng.integers(-9, 10), 0, 60)) for p in (y, x))
            picture[:, y : y + 7, x : x + 9] = rng.random((3, 1, 1), dtype=np.float32)
        if rng.random() < 0.05:
            still = rng.random(still.shape, dtype=np.float32)
        pictures.append(picture.astype(np.float32))
    return pictures


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 3.0, 6.0]))
def test_what_is_called_still_is_within_the_threshold_of_what_it_was_computed_from(seed: int, threshold: float) -> None:
    pictures = moving_patches(seed, 40)
    chain = Chain(segment=12, threshold=threshold, halo_px=HALO_PX, blocks=True)
    computed_from = pictures[0].copy()
    parts = 0
    for n, picture in enumerate(pictures):
        assert chain.next_undecided(n) == n
        chain.add(n, picture, None)
        decision = chain[n]
        if decision.base == n:
            computed_from = picture.copy()
        else:
            parts += 1
            for area in decision.areas:
                computed_from[:, *area.index] = picture[:, *area.index]
        assert cell_means(computed_from, picture).max() <= threshold * (1 + 1e-5)
        assert (n % 12 == 0) <= (decision.base == decision.segment == n)
    assert parts


def test_a_decision_follows_from_its_epoch_alone() -> None:
    pictures = moving_patches(3, 60)
    one = Chain(segment=6, threshold=3, halo_px=HALO_PX, blocks=True)
    for n, picture in enumerate(pictures):
        one.add(n, picture, None)
    for n in random.Random(0).sample(range(60), 60):
        other = Chain(segment=6, threshold=3, halo_px=HALO_PX, blocks=True)
        read = []
        while (k := other.next_undecided(n)) is not None:
            read.append(k)
            other.add(k, pictures[k], None)
        assert read == list(range(n - n % (6 * EPOCH_SEGMENTS), n + 1))
        assert other[n] == one[n]


def test_gates_go_on_into_the_next_segment_until_the_picture_has_moved_away() -> None:
    still = np.random.default_rng(0).random((3, 48, 64), dtype=np.float32)
    pictures = [still + np.float32(n / 40 / 255) for n in range(120)]  # three codes in all
    chain = Chain(segment=24, threshold=3, halo_px=HALO_PX, blocks=True)
    for n, picture in enumerate(pictures):
        chain.add(n, picture, None)
    assert {n: chain[n].gates_of for n in (0, 24, 72, 80, 81, 95, 96)} == {
        0: 0, 24: 0, 72: 0, 80: 0, 81: 81, 95: 81, 96: 96,
    }  # fmt: skip
    assert [n for n in range(120) if chain[n].base == n] == [0, 24, 48, 72, 81, 96]


def test_a_segment_that_only_moves_is_not_compared_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from vscugan.reuse import chain as module

    compared: list[int] = []
    real = module.differences
    chain = Chain(segment=24, threshold=3, halo_px=HALO_PX, blocks=True)
    rng = np.random.default_rng(0)
    for n in range(24):
        monkeypatch.setattr(module, "differences", lambda a, b, n=n: compared.append(n) or real(a, b))
        chain.add(n, 0.1 * rng.random((3, 48, 64), dtype=np.float32), None)
        assert chain[n].base == chain[n].gates_of == n
        assert chain[n].segment == 0
    assert set(compared) == set(range(1, 1 + module.GIVE_UP_AFTER))


def test_a_scene_begins_a_segment_where_nobody_tells() -> None:
    rng = np.random.default_rng(0)
    scenes = rng.random((2, 3, 48, 64), dtype=np.float32)
    for blocks in (True, False):
        chain = Chain(segment=24, threshold=3, halo_px=HALO_PX, blocks=blocks)
        for n in range(26):
            chain.add(n, scenes[n // 5 % 2], False if n == 20 else None)
        assert [chain[n].segment for n in (0, 4, 5, 9, 10, 19, 20, 23, 24)] == [0, 0, 5, 5, 10, 15, 15, 15, 24]
        assert chain[20].gates_of == (20 if blocks else 15)


# ---- exact


def test_exact_is_bit_identical_and_computes_each_content_once(
    core: Any, art_clip: Callable[..., vs.VideoNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    three = art_clip(length=3)
    order = (0, 0, 1, 1, 1, 2, 2, 0, 1, 2, 0, 0)
    clip = core.std.Splice([three[k].std.SetFrameProps(Number=n) for n, k in enumerate(order)])
    wanted = frames_of(core.cugan.Upscale(clip, reuse="off"))
    computed: list[int] = []
    real = Engine.upscale

    def counted(self: Engine, source: np.ndarray, target: Any, n: int = 0, **rest: Any) -> Any:
        computed.append(n)
        return real(self, source, target, n, **rest)

    monkeypatch.setattr(engine_module.Engine, "upscale", counted)
    up = core.cugan.Upscale(clip, report=1)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: up.get_frame(n), range(12)))
    assert all(np.array_equal(np.stack(planes(f)), w) for f, w in zip(got, wanted, strict=True))
    assert len(computed) == 3
    assert sum(f.props["CuganReused"] for f in got) == 9
    assert [f.props["Number"] for f in got] == list(range(12))


def test_one_computation_in_flight_and_a_failure_is_no_ones_result() -> None:
    contents, started, running = Contents(1 << 30), threading.Event(), []
    target = Target(planes=[np.zeros((4, 4), np.float32)], frame="frame")

    def fails() -> None:
        running.append(1)
        started.wait(5)
        raise ValueError

    def works() -> None:
        running.append(2)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(contents.once, b"key", target, fails)
        while not running:
            pass
        second = pool.submit(contents.once, b"key", target, works)
        started.set()
        with pytest.raises(ValueError):
            first.result()
        assert second.result() is None  # it was made here
    assert running == [1, 2]
    assert contents.once(b"key", target, fails) == "frame"


def test_a_hash_knows_every_bit_and_the_shape() -> None:
    x = np.zeros((3, 8, 8), np.float32)
    negative = x.copy()
    negative[1, 2, 3] = -0.0
    hashes = {content_hash(p) for p in (x, negative, x.reshape(3, 4, 16), x + np.float32(1e-38))}
    assert len(hashes) == 4
    assert content_hash(np.asfortranarray(x)) == content_hash(x)


def test_an_lru_cache_keeps_to_its_bytes() -> None:
    cache: LRUCache[int, str] = LRUCache(100)
    for n in range(50):
        cache.put(n, "x", 30)
        assert cache.bytes <= 100
    assert cache.get(46) is None
    assert cache.get(47) == "x"  # now used last
    cache.put(50, "y", 30)
    assert cache.get(47) == "x"
    cache.put(51, "large", 1000)
    assert cache.get(51) == "large"
    assert cache.bytes == 1000
    assert cache.pop(51) == "large"
    assert cache.pop(51) is None
    assert cache.bytes == 0


def test_what_is_pinned_is_not_dropped() -> None:
    pinned = {0, 3}
    cache: LRUCache[int, str] = LRUCache(60, pinned.__contains__)
    for n in range(6):
        cache.put(n, "x", 30)
    assert [n for n in range(6) if cache.get(n)] == [0, 3, 5]
    pinned.clear()
    cache.trim()
    assert [n for n in range(6) if cache.get(n)] == [3, 5]


# ---- still


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_talking_head_costs_little_and_looks_the_same(head: vs.VideoNode, core: Any, backend: str) -> None:
    clip = head.resize.Bicubic(format=vs.RGBS)
    full = frames_of(core.cugan.Upscale(clip, backend=backend, reuse="off"))
    still = core.cugan.Upscale(clip, backend=backend, reuse="still", report=1)
    got = frames_of(still)
    quality = [psnr(a, b) for a, b in zip(got, full, strict=True)]
    assert np.mean(quality) >= 55
    assert min(quality) >= 45
    assert np.mean(props_of(still, "CuganReused")) > 0.75
    assert props_of(still, "CuganSegment") == [0] * 24 + [24] * 24 + [48] * 12
    # what stands still flickers less than in the full result
    background = (slice(None), slice(None), slice(0, 60))
    assert flicker(got, background) <= flicker(full, background)
    for cells in (1, 4):  # and the blocks leave no grid
        pitch = 2 * cells * CELL_PX
        energies = [sum(motion.grid_energy(frame, pitch) for frame in frames[:24]) for frames in (full, got)]
        assert energies[1] == pytest.approx(energies[0], rel=0.05)


def test_frames_are_the_same_in_every_order_and_thread(tiny: vs.VideoNode) -> None:
    wanted = bits_of(still_of(tiny))
    assert any(p > 0 for p in props_of(still_of(tiny, report=1), "CuganReused"))
    threads, orders = vs.core.num_threads, random.Random(1)
    vs.core.num_threads = 8
    try:
        for order in range(ORDERS):
            if order % 10 == 0:  # now and then from nothing
                up = still_of(tiny)
                vs.core.std.SetVideoCache(up, mode=0)
            numbers = orders.sample(range(tiny.num_frames), 10)
            futures = [(n, up.get_frame_async(n)) for n in numbers]
            for n, future in futures:
                assert bits(future.result()) == wanted[n], f"order {order}, frame {n}"
    finally:
        vs.core.num_threads = threads


def test_little_memory_changes_no_bit(tiny: vs.VideoNode, monkeypatch: pytest.MonkeyPatch) -> None:
    from vscugan.reuse import choose

    wanted = bits_of(still_of(tiny))
    monkeypatch.setattr(choose, "_limit", lambda: 1)
    up = still_of(tiny)
    vs.core.std.SetVideoCache(up, mode=0)
    for n in [*range(tiny.num_frames), *range(tiny.num_frames - 1, -1, -3)]:
        assert bits(up.get_frame(n)) == wanted[n]


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


def test_reading_in_order_computes_nothing_twice(head: vs.VideoNode, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered, repainted = [], []
    render, repaint = Engine.render, Engine.repaint

    def rendering(self: Engine, source: np.ndarray, n: int = 0, *rest: Any, **named: Any) -> Any:
        rendered.append(n)
        return render(self, source, n, *rest, **named)

    def repainting(self: Engine, pictures: Any, source: np.ndarray, areas: Any, gates: Any, n: int = 0) -> None:
        repainted.append(n)
        repaint(self, pictures, source, areas, gates, n)

    monkeypatch.setattr(Engine, "render", rendering)
    monkeypatch.setattr(Engine, "repaint", repainting)
    threads = vs.core.num_threads
    vs.core.num_threads = 8
    try:
        up = vs.core.cugan.Upscale(head, reuse="still", segment=12)
        assert sum(1 for _ in up.frames(prefetch=8, close=True)) == 60
    finally:
        vs.core.num_threads = threads
    assert len(rendered) == len(set(rendered))
    assert len(repainted) == len(set(repainted))
    assert set(range(0, 60, 12)) <= set(rendered)


def test_what_is_kept_is_bounded(tiny: vs.VideoNode) -> None:
    sources = [Source(picture=f) for f in frames_of(tiny.resize.Bicubic(format=vs.RGBS))]
    engine = Engine(validate())
    one = 4 * 3 * 128 * 96
    chain = Chain(segment=3, threshold=3, halo_px=engine.halo_px, blocks=True)
    mode = StillBlocks(engine, chain, limit=4 * one)
    for n in random.Random(0).choices(range(len(sources)), k=40):
        mode.begin(n)
        target = Target(planes=list(np.empty((3, 96, 128), np.float32)), frame=None)
        wanted = [n]
        while wanted:
            assert len(wanted) <= 8
            answer = mode.compute(n, {k: sources[k] for k in wanted}, target)
            wanted = answer if isinstance(answer, list) else []
        assert mode._accumulators.bytes <= 4 * one
        mode.end(n)
        assert not mode._sources
        assert not mode._passed
        assert not mode._chain.awaited


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


def test_a_pan_tells_no_gates_until_they_are_asked_for(
    pan_then_hold: vs.VideoNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames that are not even compared are hardly ever gone on from; where one is, its gates come after all."""
    told: dict[int, list[bool]] = {}
    render = Engine.render

    def rendering(self: Engine, source: np.ndarray, n: int = 0, *rest: Any, **named: Any) -> Any:
        told.setdefault(n, []).append(named.get("with_gates", True))
        return render(self, source, n, *rest, **named)

    monkeypatch.setattr(Engine, "render", rendering)
    # no cut is told or found, so that the picture's way is what makes frames whole
    clip = pan_then_hold.std.SetFrameProps(_SceneChangePrev=0)
    up = vs.core.cugan.Upscale(clip, reuse="still", segment=12, backend="torch", report=1)
    in_order = bits_of(up)
    assert [told[n] for n in range(9)] == [[True]] * 9
    assert [told[n] for n in (9, 10)] == [[False]] * 2
    assert told[11] == [False, True]  # the frame itself, and its gates for those that follow
    assert told[12] == [False]  # whole, with the gates of frame 11
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


@pytest.mark.parametrize(
    "arguments",
    [
        {"scale": 3, "noise": "denoise3x"},
        {"scale": 4},
        {"model": "pro", "alpha": 0.9},
        {"scale": 6},  # two passes
        {"width": 100},
        {"overshoot": "restore"},
        {"tile": 32, "memory": 64},
        {"precision": "bf16"},
        {"backend": "onnxruntime"},
    ],
    ids=str,
)
def test_still_goes_with_every_option(tiny: vs.VideoNode, arguments: dict[str, Any]) -> None:
    clip = tiny.std.CropAbs(62, 46)[:6].resize.Bicubic(format=vs.RGBS)  # no multiple of a cell
    full = frames_of(vs.core.cugan.Upscale(clip, reuse="off", **arguments))
    still = still_of(clip, report=1, **arguments)
    got = frames_of(still)
    assert min(psnr(a, b) for a, b in zip(got, full, strict=True)) > 45
    assert np.abs(got[0] - full[0]).max() < 1e-5
    assert max(props_of(still, "CuganReused")) > 0


@pytest.mark.instruction_set
@or_int8_is_refused
def test_still_goes_with_int8(tiny: vs.VideoNode) -> None:
    test_still_goes_with_every_option(tiny, {"precision": "int8", "backend": "openvino"})


def test_still_with_alpha(core: Any, tiny: vs.VideoNode) -> None:
    clip = tiny[:6].resize.Bicubic(format=vs.RGBS)
    matte = core.std.BlankClip(format=vs.GRAYS, width=64, height=48, length=6, color=1.0, keep=True)

    def paint(n: int, planes: list[np.ndarray]) -> None:
        planes[0][:, : 8 + n % 2] = 0

    matte = painted(core, matte, paint)
    full, still = (core.cugan.Upscale(clip, alpha_clip=matte, reuse=reuse, segment=4) for reuse in ("off", "still"))
    for n in range(6):
        a, b = full.get_frame(n), still.get_frame(n)
        assert psnr(np.stack(planes(a)), np.stack(planes(b))) > 45
        assert np.array_equal(np.array(a.props["_Alpha"][0]), np.array(b.props["_Alpha"][0]))


def test_scene_change_props_begin_a_segment(core: Any, tiny: vs.VideoNode) -> None:
    marked = [tiny[n].std.SetFrameProps(_SceneChangePrev=int(n == 3)) for n in range(8)]
    clip = core.std.Splice(marked)
    still = core.cugan.Upscale(clip, reuse="still", report=1, backend="torch")
    assert props_of(still, "CuganSegment") == [0] * 3 + [3] * 5
    assert still.get_frame(3).props["CuganReused"] == 0
    own = core.cugan.Upscale(clip, reuse="off", backend="torch")
    assert bits(still.get_frame(3)) == bits(own.get_frame(3))


# ---- gates


@pytest.fixture(scope="module")
def caption(core: Any, picture: np.ndarray) -> vs.VideoNode:
    """A still with a caption that blinks, RGBS 96x64; frame 8 on: another picture."""
    blank = core.std.BlankClip(format=vs.RGBS, width=96, height=64, length=16, keep=True)

    def paint(n: int, planes: list[np.ndarray]) -> None:
        for p, plane in enumerate(planes):
            left = 200 if n < 8 else 20
            plane[:] = picture[p, 60:124, left : left + 96]
            if n % 2:
                plane[52:60, 20:76] = 1

    return painted(core, blank, paint)


def test_scene_gates_keep_a_caption_from_changing_the_background(core: Any, caption: vs.VideoNode) -> None:
    frame, scene = (
        frames_of(core.cugan.Upscale(caption, gates=gates, backend="torch")) for gates in ("frame", "scene")
    )
    far = (slice(None), slice(0, 60))  # of 128 rows; the caption begins at 104, and its halo at 68
    changes = [flicker(frames[:8], far) for frames in (frame, scene)]
    assert changes[0] > 1e-5
    assert changes[1] < changes[0] / 20
    assert np.array_equal(scene[0], frame[0])
    assert np.array_equal(scene[8], frame[8])  # a cut, by our own test
    assert min(psnr(a, b) for a, b in zip(frame, scene, strict=True)) > 30


def test_scene_gates_take_the_cuts_that_the_props_tell(core: Any, caption: vs.VideoNode) -> None:
    none, at_four = (
        core.cugan.Upscale(core.std.Splice([caption[:4], caption[4:8].std.SetFrameProps(_SceneChangePrev=cut),
                                            caption[8:].std.SetFrameProps(_SceneChangePrev=0)]),
                           gates="scene", report=1)
        for cut in (0, 1)
    )  # fmt: skip
    assert props_of(none, "CuganSegment") == [0] * 16
    assert props_of(at_four, "CuganSegment") == [0] * 4 + [4, 5, 6, 7] + [7] * 8


def test_scene_gates_go_with_exact(core: Any, caption: vs.VideoNode) -> None:
    twice = core.std.Splice([caption[n // 2] for n in range(16)])
    off, exact = (frames_of(core.cugan.Upscale(twice, gates="scene", reuse=reuse)) for reuse in ("off", "exact"))
    assert all(np.array_equal(a, b) for a, b in zip(off, exact, strict=True))
    told = props_of(core.cugan.Upscale(core.std.Loop(caption[0], 4), gates="scene", report=1), "CuganReused")
    assert told == [0, 0, 1, 1]  # with its own gates, with held ones, and the same again


# ---- what it says


def test_the_summary_does_not_count_what_warms_up(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0, 9, 9, 10, 10, 12, 12, 12.5))  # begin and end of each frame
    monkeypatch.setattr(engine_module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    engine = Engine(validate(backend="torch"))
    x, gates = picture[:, :16, :16], None
    for _ in range(3):
        rendered = engine.render(x)
        gates = rendered.gates
    assert gates is not None
    area = Rectangle(rows=Span(start=0, stop=8), columns=Span(start=0, stop=8))
    engine.repaint(rendered.pictures, x, [area], gates)
    assert engine.spent == Spent(whole_frames=2, whole_s=3, part_s=0.5)
    counts = Counts(frames=10, whole=4, computed=5)
    assert counts.words(engine.spent) == "reuse: 10 frames, 50% of their pixels computed, about 8 s saved"
    # what a whole frame costs is not known from the first one
    assert counts.words(Spent(part_s=0.5)) == "reuse: 10 frames, 50% of their pixels computed"
    assert Counts(frames=10, whole=10, computed=10).words(engine.spent) == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reuse": "yes"}, "reuse must be off, exact or still, got yes; use one of these"),
        ({"gates": "clip"}, "gates must be frame or scene, got clip; use one of these"),
        ({"reuse": "still", "gates": "frame"}, "gates must be scene with reuse=still, got frame; "),
        ({"segment": 1}, "segment must be 2 to 240 frames, got 1; leave it out for 24"),
        ({"threshold": 17.0}, "threshold must be 0 to 16 codes of 8 bit, got 17; "),
        ({"threshold": float("nan")}, "threshold must be 0 to 16 codes of 8 bit, got nan; "),
    ],
)
def test_errors(core: Any, art_clip: Callable[..., vs.VideoNode], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(vs.Error) as caught:
        core.cugan.Upscale(art_clip(), **arguments)
    assert str(caught.value).startswith(f"cugan.Upscale: {message}")
