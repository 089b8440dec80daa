"""Sections of gpu_check, each a generator of its findings: facts, golden models, tiles, streams, tests, adapters."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_job import FP16_DECIBELS, FP32_ERROR, ROOT, TILE_ERROR, Graphs, Job, Row, crop, finding, largest, upscaled
from numpy.typing import NDArray
from report import decibels
from support.plain_halfnet import HalfNet
from support.plain_upcunet import plain_upcunet

from vscugan.architectures import ARCHITECTURES
from vscugan.engine.device_choice import gpus
from vscugan.engine.engine import Engine
from vscugan.engine.padding import network_input
from vscugan.models.registry import ModelRow, find, released_folder, rows
from vscugan.models.weights import load_released
from vscugan.runtime.cuda_graphs import captures_paused
from vscugan.runtime.protocol import PassOptions
from vscugan.runtime.workspace import Workspace
from vscugan.settings import validate
from vscugan.tiling.run_tiles import run_tiles
from vscugan.tiling.tile_plan import FeatureStorage, TilePlan

TILED = (("se", 2), ("se", 3), ("se", 4), ("pro", 2))
PACKAGES = ("torch", "numpy", "vapoursynth", "vscugan", "onnxruntime-gpu", "onnxruntime", "tensorrt", "ncnn", "triton")
GPU_TESTS = ("tests/engine/test_cuda_frames.py", "tests/runtime/test_cuda_graphs.py")
DRIVER = "name,driver_version,memory.total,clocks.max.sm,power.limit"


def facts(job: Job) -> Iterator[Row]:
    """What the machine is."""
    yield finding(job, "machine", machine)
    yield finding(job, "packages", packages)
    yield finding(job, "device", partial(device, job))
    yield finding(job, "doctor", doctor)


def machine() -> Row:
    """Processor and system."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    cpu = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "")
    return {
        "ok": True,
        "cpu": cpu,
        "threads": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def packages() -> Row:
    """Versions of what is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"ok": True, **found}


def device(job: Job) -> Row:
    """The GPU, as torch and its driver describe it."""
    if not job.is_cuda:
        return {"ok": True, "name": job.device, "fp32_convolution_error": convolution_error(job)}
    properties = torch.cuda.get_device_properties(job.device)
    command = ["nvidia-smi", f"--query-gpu={DRIVER}", "--format=csv,noheader"]
    try:
        driver = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        driver = f"nvidia-smi: {error}"
    free, total = torch.cuda.mem_get_info()
    return {
        "ok": True,
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_MiB": total >> 20,
        "free_MiB": free >> 20,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "fp32_convolution_error": convolution_error(job),
        "nvidia_smi": driver,
    }


def convolution_error(job: Job) -> float:
    """Of torch's defaults in fp32, relative: about 1e-6, or 3e-4 where it takes TF32 instead."""
    x, weight = torch.rand(1, 64, 32, 32) - 0.5, torch.rand(64, 64, 3, 3) - 0.5
    exact = torch.nn.functional.conv2d(x.double(), weight.double())
    y = torch.nn.functional.conv2d(x.to(job.device), weight.to(job.device)).cpu().double()
    return float((y - exact).norm() / exact.norm())


def doctor() -> Row:
    """What ``vscugan doctor`` says; what else than the GPU's checks is not installed is no fault here."""
    run = subprocess.run(
        [sys.executable, "-P", "-m", "vscugan", "doctor"], check=False, capture_output=True, text=True, timeout=60
    )
    return {"ok": "ok    bridge" in run.stdout, "lines": run.stdout.splitlines()}


def golden(job: Job) -> Iterator[Row]:
    """Every model that vscugan installs against the network written down plainly, in fp32 on the CPU."""
    for row in (row for row in rows() if row.extra is None):
        for precision in ("fp32", "fp16"):
            yield finding(job, f"{row.name} {precision}", partial(compare, job, row, precision))


def plain(row: ModelRow, x: torch.Tensor) -> torch.Tensor:
    """(1, 3, H, W) through the network written down plainly."""
    if ARCHITECTURES[row.architecture].levels:
        enlarged: torch.Tensor = HalfNet(row.scale, str(row.noise), released_folder(row) / row.file)(x)
        return enlarged
    return plain_upcunet(load_released(row).tensors, x, scale=row.scale, pro=row.model == "pro")


def compare(job: Job, row: ModelRow, precision: str) -> Row:
    """One model in one precision on a detail of real art."""
    x = crop(job, *((32, 48) if job.small else (96, 128)))
    with torch.inference_mode():
        wanted = plain(row, torch.from_numpy(x)[None])[0].clamp(0, 1).numpy()
    model = {"model": row.model, "scale": row.scale, "noise": row.noise}
    engine = Engine(validate(**model, backend="torch", device=job.device, precision=precision))
    got = upscaled(engine, x)
    error, quality = largest(got, wanted), decibels(got, wanted)
    right = error <= FP32_ERROR if engine.precision == "fp32" else quality >= FP16_DECIBELS
    return {"ok": right, "precision": engine.precision, "largest_error": error, "dB": round(quality, 1)}


def tiles(job: Job) -> Iterator[Row]:
    """Each tile and storage against the whole frame, in fp32."""
    for model, scale in TILED[:1] if job.small else TILED:
        engine = Engine(
            validate(model=model, scale=scale, backend="torch", device=job.device, precision="fp32", tile=0)
        )
        x = crop(job, *((63, 97) if job.small else (181, 319)))
        whole = planned(engine, x, TilePlan(tile=(0, 0)))
        for px, storage in product((32, 64, 128), FeatureStorage):
            plan = TilePlan(tile=(px, px), storage=storage)
            if not plan.whole(*x.shape[1:]):
                case = f"{model} {scale}x tile={px}, {storage}"
                yield finding(job, case, partial(compare_tiles, engine, x, plan, whole))


def planned(engine: Engine, x: NDArray[np.float32], plan: TilePlan) -> NDArray[np.float32]:
    """(3, H, W) in 0..1 by a plan of ours, as NetworkPass runs it."""
    runtime = engine.passes[0].runtime
    with torch.inference_mode():
        padded, inner = network_input(runtime.architecture, runtime.arrays, runtime.arrays.upload(x[None]))
        padded = runtime.arrays.as_map(padded)
        result = run_tiles(runtime, padded, plan, inner, Workspace(), PassOptions())
        assert result is not None  # it is finite
        return np.array(result[0].cpu())


def compare_tiles(engine: Engine, x: NDArray[np.float32], plan: TilePlan, whole: NDArray[np.float32]) -> Row:
    """The largest difference of a frame in tiles to the whole one."""
    error = largest(planned(engine, x, plan), whole)
    return {"ok": error <= TILE_ERROR, "largest_error": error}


def streams(job: Job) -> Iterator[Row]:
    """Nodes that four threads ask in any order, against one frame after the other."""
    yield finding(job, "frames in any order", partial(any_order, job))


def any_order(job: Job) -> Row:
    """sha256 of frames of several nodes, against those without CUDA graphs.

    The nodes: whole frames, tiles, two passes, and frames of which parts are computed again with gates that are held.
    """
    import vapoursynth as vs
    from gpu_speed import art_clip

    width, height, length = (64, 48, 5) if job.small else (320, 180, 50)
    moving = art_clip(job, width, height, length)
    held = moving[0].std.Loop(length).std.CropAbs(width - width // 4, height, width // 4, 0)
    partly = vs.core.std.StackHorizontal([moving.std.CropAbs(width // 4, height), held])
    off = {"reuse": "off"}
    kinds: tuple[tuple[vs.VideoNode, dict[str, Any]], ...] = (
        (moving, {"tile": 0, "streams": 2} | off),
        (moving, {"tile": 64, "streams": 4} | off),
        (moving, {"tile": 0, "streams": 2, "scale": 6} | off),
        (partly, {"tile": 0, "streams": 2, "reuse": "still", "segment": 4}),
    )

    def node(clip: vs.VideoNode, arguments: dict[str, Any]) -> vs.VideoNode:
        made = vs.core.cugan.Upscale(clip, device=job.device, backend="torch", **arguments)
        vs.core.std.SetVideoCache(made, mode=0)  # each request is computed
        return made

    def sha256(node: vs.VideoNode, n: int) -> str:
        with node.get_frame(n) as frame:
            return hashlib.sha256(b"".join(bytes(frame[p]) for p in range(3))).hexdigest()

    with captures_paused():
        alone = [node(clip, arguments | {"streams": 1}) for clip, arguments in kinds]
        wanted = [[sha256(each, n) for n in range(length)] for each in alone]
    graphs, nodes = Graphs(), [node(*kind) for kind in kinds]
    requests = [(k, n) for k in range(len(nodes)) for n in range(length)] * 2
    random.Random(0).shuffle(requests)
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda request: sha256(nodes[request[0]], request[1]), requests))
    differing = [f"node {k}, frame {n}" for (k, n), bits in zip(requests, got, strict=True) if bits != wanted[k][n]]
    row = {"frames": len(requests), "threads": 4, "nodes": len(nodes), "graphs": graphs.close()}
    return row | {"ok": not differing and (row["graphs"] > 0 or not job.is_cuda), "differing": differing[:20]}


def tests(job: Job) -> Iterator[Row]:
    """The tests that need a GPU, where there is a checkout with them, and what they need."""
    files = [name for name in GPU_TESTS if (ROOT / name).is_file()]
    missing = [name for name in ("pytest", "PIL") if importlib.util.find_spec(name) is None]
    if missing or not files or not job.is_cuda:
        lacks = ", ".join(missing) or ("a checkout" if not files else "a CUDA device")
        yield {"case": "tests", "ok": True, "absent": f"they need {lacks}"}
        return
    for name in files:
        yield finding(job, name, partial(run_tests, job, name))


def run_tests(job: Job, name: str) -> Row:
    """One file of tests by pytest."""
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=max(job.left_s, 1))
    lines = run.stdout.splitlines()
    return {"ok": run.returncode == 0, "summary": lines[-1:], "failed": lines[-60:-1] if run.returncode else []}


def adapters(job: Job) -> Iterator[Row]:
    """GPUs that a runtime reaches without torch, by Vulkan or WebGPU: golden, and tiled."""
    found = gpus()
    listed = [f"{gpu.adapter.name}, {gpu.adapter.driver}".rstrip(", ") for gpu in found]
    yield {"case": "adapters", "ok": True, "found": listed}
    for (index, gpu), precision in product(enumerate(found), ("fp32", "fp16")):
        for backend in gpu.reached_by if not gpu.adapter.is_software else ():
            case = f"{backend} on gpu:{index} ({gpu.adapter.name}), {precision}"
            yield finding(job, case, partial(compare_adapter, job, f"gpu:{index}", backend, precision))


def compare_adapter(job: Job, name: str, backend: str, precision: str) -> Row:
    """One model on an adapter, whole and in tiles, against the network written down plainly."""
    x = crop(job, *((32, 48) if job.small else (96, 128)))
    tensors = load_released(find(model="se", scale=2, noise="no-denoise")).tensors
    with torch.inference_mode():
        wanted = plain_upcunet(tensors, torch.from_numpy(x)[None], scale=2, pro=False)[0].clamp(0, 1).numpy()
    arguments: dict[str, Any] = {"backend": backend, "device": name, "precision": precision}
    whole, tiled = (upscaled(Engine(validate(**arguments, tile=tile)), x) for tile in (0, 32))
    error, quality, tile_error = largest(whole, wanted), decibels(whole, wanted), largest(tiled, whole)
    right = error <= FP32_ERROR and tile_error <= TILE_ERROR if precision == "fp32" else quality >= FP16_DECIBELS
    return {"ok": right, "largest_error": error, "dB": round(quality, 1), "tile_error": tile_error}
