"""The speed section of gpu_check: core.cugan.Upscale by each runtime beside the bare network, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from statistics import median
from typing import Any

import numpy as np
import torch
import vapoursynth as vs
from gpu_job import Graphs, Job, Row, enlarged_art
from numpy.typing import NDArray
from report import decibels
from support.plain_upcunet import plain_upcunet

from vscugan.engine.engine import Engine
from vscugan.engine.standby import wait_for_engines
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.runtime.cuda_graphs import captures_paused
from vscugan.settings import validate

SCALE = 2
WITHOUT_GRAPHS = "torch, no CUDA graphs"
#: (model, width, height), the most telling first: time may run out
CASES = (("se", 1920, 1080), ("se", 1280, 720), ("pro", 1920, 1080), ("pro", 1280, 720))
SMALL_CASES = (("se", 48, 32), ("pro", 48, 32))
#: arguments of Upscale by name. Each heat is measured beside a bare network of its own; those after the first are of
#: runtimes that may be absent, and that may take minutes to begin.
HEATS: tuple[Mapping[str, dict[str, Any]], ...] = (
    {"torch": {"backend": "torch"}, WITHOUT_GRAPHS: {"backend": "torch"}},
    {"tensorrt": {"backend": "tensorrt"}},
    {"ncnn": {"backend": "ncnn", "device": "gpu"}, "webgpu": {"backend": "webgpu", "device": "gpu"}},
)
STREAMS = (1, 2, 3, 4)
BARE, BARE_GRAPH, ENGINE = "bare network", "bare network, CUDA graph", "engine on arrays"
ROUNDS = 3
MOST_FRAMES = 200  #: of a turn
KEPT_FRAMES, LENGTH = 8, 100_000  #: of a clip: different ones, and all
LEAST_DECIBELS = 45.0  #: of rounded codes: in fp16 some differ by one

Case = tuple[str, int, int]
#: Computes so many frames, and returns the seconds that they took.
Run = Callable[[int], float]
#: What the first contestant has made of a case's first frame, (H, W) in 0..1.
first_luma: dict[Case, NDArray[np.float32]] = {}


@dataclass
class Contestant:
    """What takes turns. ``quality``: dB of its first frame to torch's, to see that what is timed is right."""

    name: str
    streams: int
    run: Run | None = None  #: None where it could not be made, or has failed
    quality: float | None = None
    report: dict[str, str] = field(default_factory=dict)  #: runtime and tile that Upscale reports
    graphs: Graphs = field(default_factory=Graphs)
    peak_mib: float | None = None
    prepared_s: float = 0.0
    seconds: list[float] = field(default_factory=list)  #: a frame, of each turn
    error: str | None = None

    def turn(self, count: int) -> None:
        """Compute so many frames; who fails is out."""
        if self.run is None:
            return
        try:
            self.seconds.append(self.run(count) / count)
        except Exception as error:  # the others may work
            self.run, self.error = None, f"{type(error).__name__}: {error}"[:1000]


def precision(job: Job) -> str:
    """In which all of them compute."""
    return "fp16" if job.is_cuda else "fp32"


def least_frames(job: Job) -> int:
    """Of a turn."""
    return 2 if job.small else 10


def art_clip(job: Job, width: int, height: int, length: int) -> vs.VideoNode:
    """Different details of the art, YUV420P8, ready in the cache: no other filter is measured."""
    core = vs.core
    pixels = enlarged_art(job, height + 2 * length, width + 2 * length)
    blank = core.std.BlankClip(format=vs.RGBS, width=pixels.shape[2], height=pixels.shape[1], length=1)

    def paint(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for p, plane in enumerate(pixels):
            np.asarray(out[p])[:] = plane
        return out

    still = core.std.ModifyFrame(blank, blank, paint).resize.Bicubic(format=vs.YUV420P8, matrix=1)
    clip = core.std.Splice([still.std.CropAbs(width, height, 2 * n, 2 * n) for n in range(length)])
    core.std.SetVideoCache(clip, mode=1, fixedsize=1, maxsize=length)
    for frame in clip.frames(close=True):
        frame.close()
    return clip


def filtered(job: Job, case: Case, arguments: Mapping[str, Any], contestant: Contestant) -> None:
    """Upscale on a YUV clip, whose frames are asked for as vspipe does: as many at once as the core has threads."""
    model, width, height = case
    clip = art_clip(job, width, height, KEPT_FRAMES).std.Loop(LENGTH // KEPT_FRAMES)
    named = {"device": job.device, "precision": precision(job), "streams": contestant.streams, **arguments}
    node = vs.core.cugan.Upscale(clip, scale=SCALE, model=model, reuse="off", report=1, **named)
    vs.core.std.SetVideoCache(node, mode=0)
    position, around = 0, int(vs.core.num_threads)
    pool = ThreadPoolExecutor(around)

    def run(count: int) -> float:
        nonlocal position
        done = list[float]()  # in the order in which they end, which need not be the clip's

        def compute(n: int) -> None:
            node.get_frame(n).close()
            done.append(time.perf_counter())

        # the frames around those that count keep the device as busy as it is in the middle of a clip
        frames = range(position, position + around + count + around)
        position = frames.stop
        list(pool.map(compute, frames))
        return done[around + count - 1] - done[around - 1]

    with node.get_frame(0) as frame:
        luma = np.divide(frame[0], 255, dtype=np.float32)
        contestant.quality = round(decibels(luma, first_luma.setdefault(case, luma)), 1)
        contestant.report = {key: str(frame.props[f"Cugan{key.title()}"]) for key in ("runtime", "tile")}
    contestant.run = partial(without_graphs, run) if contestant.name == WITHOUT_GRAPHS else run


def without_graphs(run: Run, count: int) -> float:
    """The same while nothing is captured."""
    with captures_paused():
        return run(count)


def timed(job: Job, call: Callable[[], object]) -> Run:
    """The same work again and again, until the device has done all of it."""

    def run(count: int) -> float:
        with torch.inference_mode():
            call()
            job.synchronize()
            start = time.perf_counter()
            for _ in range(count):
                call()
            job.synchronize()
            return time.perf_counter() - start

    return run


def engine_alone(job: Job, case: Case, contestant: Contestant) -> None:
    """The engine on ready arrays, one frame after the other: less than the filter by all that VapourSynth does."""
    model, width, height = case
    engine = Engine(
        validate(scale=SCALE, model=model, device=job.device, precision=precision(job), backend="torch", streams=1)
    )
    x, out = enlarged_art(job, height, width), np.empty((3, SCALE * height, SCALE * width), np.float32)
    contestant.run = timed(job, lambda: engine.upscale(x, list(out)))


def bare(job: Job, case: Case, contestant: Contestant) -> None:
    """The network as a plain torch module, channels last, on noise that stays on the device."""
    model, width, height = case
    dtype = torch.float16 if job.is_cuda else torch.float32
    tensors = load_released(find(model=model, scale=SCALE, noise="no-denoise")).tensors

    def on_device(x: torch.Tensor) -> torch.Tensor:
        return x.to(job.device, dtype, memory_format=torch.channels_last if x.dim() == 4 else torch.preserve_format)

    weights = {name: on_device(torch.from_numpy(each)) for name, each in tensors.items()}
    noise = on_device(torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0)))
    compute = partial(plain_upcunet, weights, noise, scale=SCALE, pro=model == "pro")
    contestant.run = timed(job, captured(compute) if contestant.name == BARE_GRAPH else compute)


def captured(compute: Callable[[], object]) -> Callable[[], object]:
    """The same as one CUDA graph."""
    with torch.inference_mode():
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(aside):
            compute()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = compute()

    def replay() -> object:
        graph.replay()
        return result  # whose memory the graph writes to

    return replay


def absent(job: Job, arguments: Mapping[str, Any]) -> str | None:
    """Why a runtime can't be used here, None where it can."""
    clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=1)
    try:
        vs.core.cugan.Upscale(clip, **{"device": job.device, "precision": precision(job), **arguments})
    except vs.Error as error:
        return str(error)
    return None


def speed(job: Job) -> Iterator[Row]:
    """Each case of each heat in its share of the time."""
    wait_for_engines()  # else torch computes while TensorRT builds its own
    heats = []
    for runtimes in HEATS:
        here = {}
        for name, arguments in runtimes.items():
            reason = absent(job, arguments)
            if reason is None:
                here[name] = arguments
            else:
                yield {"case": name, "ok": runtimes is not HEATS[0], "absent": reason}
        heats += [here] if here else []
    races = list(product(heats, SMALL_CASES if job.small else CASES))
    for at, (runtimes, case) in enumerate(races):
        until = time.monotonic() + job.left_s / (len(races) - at)
        yield from race(job, case, runtimes, until)


def race(job: Job, case: Case, runtimes: Mapping[str, dict[str, Any]], until: float) -> Iterator[Row]:
    """All contestants of a case in turns, until the time is over; after each turn a row for each."""
    racing = [prepared(job, BARE, 1, partial(bare, job, case))]
    if job.is_cuda:
        racing.append(prepared(job, BARE_GRAPH, 1, partial(bare, job, case)))
    racing.append(prepared(job, ENGINE, 1, partial(engine_alone, job, case)))
    for (name, arguments), streams in product(runtimes.items(), STREAMS[:2] if job.small else STREAMS):
        if name == WITHOUT_GRAPHS and streams > 2:  # the default, and the simplest
            continue
        racing.append(prepared(job, name, streams, partial(filtered, job, case, arguments)))
    model, width, height = case
    facts = {"size": f"{width}x{height}", "scale": SCALE, "model": model, "precision": precision(job)}
    for turn in range(1 if job.small else ROUNDS):
        first = turn % len(racing)  # nobody always follows the same one
        for at, contestant in enumerate(racing[first:] + racing[:first]):
            left = until - time.monotonic()
            if turn == 0 or left > 0:
                contestant.turn(frames_in(job, contestant, left / ((ROUNDS - turn) * len(racing) - at)))
        limit = median(racing[0].seconds[1:]) if racing[0].seconds[1:] else None
        for contestant in racing:
            yield facts | result(job, contestant, f"{width}x{height} {model}", limit)


def prepared(job: Job, name: str, streams: int, make: Callable[[Contestant], None]) -> Contestant:
    """A contestant after its first frames, and what these took."""
    contestant = Contestant(name, streams)
    base, start = job.begin_peak(), time.perf_counter()
    try:
        make(contestant)
    except Exception as error:  # the others may work
        contestant.error = f"{type(error).__name__}: {error}"[:1000]
    contestant.turn(least_frames(job) * streams)  # each stream captures its own CUDA graph, after some frames
    contestant.graphs.close()
    contestant.prepared_s = time.perf_counter() - start
    contestant.peak_mib = job.peak_mib(base)
    return contestant


def frames_in(job: Job, contestant: Contestant, share_s: float) -> int:
    """As many frames as fit into a share of the time, half of which the frames around them take."""
    a_frame = min(contestant.seconds, default=share_s)
    return least_frames(job) if job.small else min(MOST_FRAMES, max(least_frames(job), int(share_s / 2 / a_frame)))


def result(job: Job, contestant: Contestant, case: str, limit_s: float | None) -> Row:
    """A contestant's row, compared with the bare network; the turn that prepared it does not count.

    It is wrong where a picture is, and where torch has no CUDA graphs for whole frames: all contestants are there at
    once, and on a small GPU a later one may have freed them.
    """
    turns, quality = contestant.seconds[1:], contestant.quality
    row: Row = {"case": f"{case}: {contestant.name}, streams={contestant.streams}", "contestant": contestant.name}
    row |= {"streams": contestant.streams, "peak_MiB": contestant.peak_mib} | contestant.report
    row["graphs"] = contestant.graphs.count
    has_graphs = bool(row["graphs"]) or not job.is_cuda or contestant.name != "torch" or row.get("tile") != "whole"
    if not turns or contestant.error is not None:
        return row | {"ok": False, "error": contestant.error or "there was no time for it"}
    seconds = median(turns)
    return row | {
        "ok": has_graphs and (quality is None or quality >= LEAST_DECIBELS),
        "fps": round(1 / seconds, 3),
        "of_limit": None if limit_s is None else round(limit_s / seconds, 3),
        "prepared_s": round(contestant.prepared_s, 2),
        "turns_s": [round(each, 5) for each in turns],
        "dB": quality,
    }
