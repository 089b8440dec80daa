"""The memory section of gpu_check: limits that are kept, and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch
from gpu_job import FP16_DECIBELS, TILE_ERROR, Job, Row, enlarged_art, finding, largest, upscaled
from report import decibels

from vscugan.engine import network_pass
from vscugan.engine.engine import Engine
from vscugan.settings import validate
from vscugan.tiling.tile_plan import TilePlan


def memory(job: Job) -> Iterator[Row]:
    """Memory that is kept to, and what happens when it runs out."""
    for mib in (64,) if job.small else (500, 1000, 2000, 4000, 8000):
        yield finding(job, f"memory={mib}", partial(keep_to, job, mib))
    for precision in ("fp32", "fp16"):
        yield finding(job, f"out of memory, {precision}", partial(run_out, job, precision))
    yield finding(job, "out of memory beside CUDA graphs", partial(run_out_beside_graphs, job))


def keep_to(job: Job, mib: int) -> Row:
    """The peak of frames of which two are in flight, with and without CUDA graphs."""
    x = enlarged_art(job, *((63, 97) if job.small else (1080, 1920)))
    notes: list[str] = []
    engine = Engine(validate(backend="torch", device=job.device, memory=mib, streams=2), notify=notes.append)
    base = job.begin_peak()
    with ThreadPoolExecutor(2) as pool:
        pictures = list(pool.map(lambda _: upscaled(engine, x), range(2 if job.small else 12)))
    peak, reserved = job.peak_mib(base), job.reserved_mib()
    same = all(np.array_equal(picture, pictures[0]) for picture in pictures)
    right = same and (peak is None or peak <= mib)
    return {"ok": right, "peak_MiB": peak, "reserved_MiB": reserved, "equal_bits": same, "notes": notes}


def run_out(job: Job, precision: str) -> Row:
    """A frame whose whole does not fit: the tile shrinks, the picture stays, and the next engine starts with it."""
    height, width = (63, 97) if job.small else (720, 1280)
    if precision != "fp32":  # a CPU may compute it in fp32: of another size, nothing is remembered of that
        width -= 2
    x = enlarged_art(job, height, width)
    arguments: dict[str, Any] = {"backend": "torch", "device": job.device, "precision": precision, "streams": 1}
    base = job.begin_peak()
    whole = upscaled(Engine(validate(**arguments, tile=0)), x)
    need = job.peak_mib(base)
    first, second = list[str](), list[str]()
    with short_of_memory(job, need):
        recovered = upscaled(Engine(validate(**arguments), notify=first.append), x)
        again = upscaled(Engine(validate(**arguments), notify=second.append), x)
    error = max(largest(recovered, whole), largest(again, whole))
    quality = min(decibels(recovered, whole), decibels(again, whole))
    shrank = any(note.startswith("out of memory") and " -> " in note for note in first)
    remembered = any("what worked after an earlier out-of-memory" in note for note in second)
    right = error <= TILE_ERROR if precision == "fp32" else quality >= FP16_DECIBELS
    return {
        "ok": right and shrank and remembered,
        "whole_frame_MiB": need,
        "shrank": shrank,
        "remembered": remembered,
        "largest_error": error,
        "dB": round(quality, 1),
        "notes": first + second,
    }


def run_out_beside_graphs(job: Job) -> Row:
    """An engine that finds no memory beside another one's CUDA graphs, which then goes on without them."""
    x = enlarged_art(job, *((61, 95) if job.small else (700, 1240)))  # of a size that nothing is remembered of
    arguments: dict[str, Any] = {"backend": "torch", "device": job.device, "precision": "fp32", "streams": 1}
    base, holder = job.begin_peak(), Engine(validate(**arguments, tile=0))
    whole = upscaled(holder, x)
    need = job.peak_mib(base)
    for _ in range(1 if job.small else 8):  # some frames before a capture, and some by the graph
        upscaled(holder, x)
    notes: list[str] = []
    with short_of_memory(job, need):
        beside = upscaled(Engine(validate(**arguments), notify=notes.append), x)
    error = max(largest(beside, whole), largest(upscaled(holder, x), whole))
    ran_out = any(note.startswith("out of memory") for note in notes)
    return {"ok": ran_out and error <= TILE_ERROR, "largest_error": error, "notes": notes}


@contextmanager
def short_of_memory(job: Job, need_mib: float | None) -> Iterator[None]:
    """Let torch have half of what a frame needs, which no planner sees; without CUDA an error is made up."""
    if need_mib is None:
        with made_up_error():
            yield
        return
    job.begin_peak()
    allowed = torch.cuda.memory_reserved() + (int(need_mib) << 20) // 2
    torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.mem_get_info()[1])
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@contextmanager
def made_up_error() -> Iterator[None]:
    """Whole frames and wide tiles raise what torch raises then."""
    real = network_pass.run_tiles

    def run(runtime: Any, padded: Any, plan: TilePlan, *rest: Any) -> Any:
        if min(plan.tile) == 0 or max(plan.tile) > 64:
            raise torch.OutOfMemoryError("made up")
        return real(runtime, padded, plan, *rest)

    with mock.patch.object(network_pass, "run_tiles", run):
        yield
