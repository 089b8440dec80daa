"""The README's figures, measured: speed against plain torch, the filter's own cost, peak memory, vspipe runs.

Usage: .venv/bin/python -P scripts/measure.py [speed] [cost] [memory] [runs]
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import torch

from vscugan.engine.engine import Engine
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.settings import validate

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))


def alternate(first: Callable[[], object], second: Callable[[], object], rounds: int = 5) -> tuple[float, float]:
    """Median seconds of two functions, called A B A B after one warm-up each."""
    first()
    second()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for function, times in zip((first, second), seconds, strict=True):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    return median(seconds[0]), median(seconds[1])


def speed() -> None:
    """Our torch against the same network as a plain NCHW eager module, 320x180 2x."""
    from support.plain_upcunet import plain_upcunet

    settings = validate(backend="torch")
    weights, engine = load_released(find(model="se", scale=2, noise=settings.noise)).tensors, Engine(settings)
    x = np.random.default_rng(0).random((3, 180, 320), dtype=np.float32)
    out = np.empty((3, 360, 640), np.float32)

    def plain() -> None:
        with torch.inference_mode():
            plain_upcunet(weights, torch.from_numpy(x)[None], scale=2, pro=False)

    ours, theirs = alternate(lambda: engine.upscale(x, list(out)), plain)
    print(f"speed, 320x180 2x fp32: ours {ours:.3f} s, plain torch {theirs:.3f} s, ratio {theirs / ours:.2f}")


def cost() -> None:
    """core.cugan.Upscale on a YUV clip against the engine on arrays, and against bare OpenVINO; 640x360 2x."""
    import vapoursynth as vs

    from vscugan.runtime.graph import network_graph
    from vscugan.runtime.onnx_writer import Writer
    from vscugan.runtime.openvino_runtime import OpenVinoRuntime
    from vscugan.runtime.workspace import Workspace

    core = vs.core
    core.num_threads = 1
    clip = core.std.BlankClip(format=vs.YUV420P8, width=640, height=360, length=500, color=[120, 90, 160], keep=True)
    x = np.full((3, 360, 640), 0.4, np.float32)
    out = np.empty((3, 720, 1280), np.float32)
    frames = iter(range(500))

    def next_frame(node: vs.VideoNode) -> None:
        node.get_frame(next(frames)).close()

    for backend in ("torch", "openvino"):
        node, engine = core.cugan.Upscale(clip, backend=backend, reuse="off"), Engine(validate(backend=backend))
        ours, theirs = alternate(partial(next_frame, node), partial(engine.upscale, x, list(out)))
        print(f"cost, 640x360 2x, {backend}: filter {ours:.3f} s, engine {theirs:.3f} s, {ours / theirs - 1:+.1%}")
    weights = load_released(find(model="se", scale=2, noise="no-denoise"))
    graph = network_graph(Writer(weights))
    session = OpenVinoRuntime(weights, device="CPU", precision="fp32").load(graph, ["output"], None)
    inputs = {"input": np.full((1, 3, 396, 676), 0.4, np.float32), "alpha": np.ones((1, 1, 1, 1), np.float32)}
    workspace = Workspace()
    node = core.cugan.Upscale(clip, backend="openvino", reuse="off")
    ours, theirs = alternate(partial(next_frame, node), lambda: session(inputs, workspace), 9)
    print(f"cost, 640x360 2x: filter {ours:.3f} s, bare OpenVINO {theirs:.3f} s, {theirs / ours:.2f} x its speed")


def upscaling(height: int, width: int, **arguments: Any) -> Callable[[], object]:
    """A function that sends one frame of noise through an engine of its own."""
    engine = Engine(validate(**arguments))
    x = np.random.default_rng(0).random((3, height, width), dtype=np.float32)
    out = np.empty((3, 2 * height, 2 * width), np.float32)
    return lambda: engine.upscale(x, list(out))


def tiles() -> None:
    """tile=256 against whole frames, and time per pixel from small to large frames."""
    for backend in ("torch", "openvino"):
        in_tiles, at_once = (upscaling(720, 1280, backend=backend, tile=tile) for tile in (256, 0))
        tiled, whole = alternate(in_tiles, at_once, rounds=2)
        name = f"tiles, 1280x720 2x, {backend}"
        print(f"{name}: tile=256 {tiled:.2f} s, whole frame {whole:.2f} s, {tiled / whole - 1:+.0%}")
        rates = []
        for height, width in ((180, 320), (360, 640), (720, 1280), (1080, 1920)):
            seconds, _ = alternate(upscaling(height, width, backend=backend), lambda: None, rounds=2)
            rates.append(f"{width}x{height} {seconds / height / width * 1e6:.2f}")
        print(f"tiles, {backend}, microseconds per source pixel: {', '.join(rates)}")


def peak_over_idle(call: Callable[[], object]) -> int:
    """Resident memory in bytes that a call takes at its peak, over what the process had before."""
    process, peak, done = psutil.Process(), 0, threading.Event()
    idle = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    done.set()
    watcher.join()
    return int(peak - idle)


def memory() -> None:
    """Peak memory of one 1920x1080 -> 3840x2160 frame over idle: by ``tile`` and ``memory``, and whole."""
    rng = np.random.default_rng(1)
    x = np.ascontiguousarray(rng.random((3, 68, 120), dtype=np.float32).repeat(16, 1).repeat(16, 2)[:, :1080])
    cases: tuple[dict[str, Any], ...] = ({"tile": 256}, {"memory": 3000}, {"tile": 256, "memory": 1000}, {"tile": 0})
    for backend in ("torch", "openvino"):
        pictures = []
        for arguments in cases:
            picture = np.zeros((3, 2160, 3840), np.float32)
            engine = Engine(validate(backend=backend, **arguments))
            engine.upscale(x[:, :64, :64], list(picture[:, :128, :128]))
            peak = peak_over_idle(partial(engine.upscale, x, list(picture)))
            print(f"memory, 1920x1080 2x, {backend}, {arguments}: peak {peak / 2**30:.2f} GiB over idle")
            pictures.append(picture)
            del engine
        largest = max(np.abs(p - pictures[-1]).max() for p in pictures[:-1])
        print(f"memory, {backend}: largest difference to the whole frame {largest:.1e}")


def start() -> None:
    """Seconds from a cold process to the first frame, 640x360 2x."""
    code = (
        "import vapoursynth as vs\n"
        "clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=640, height=360, length=1)\n"
        "vs.core.cugan.Upscale(clip, backend='{}').get_frame(0).close()\n"
    )
    for backend in ("torch", "onnxruntime", "openvino"):
        seconds = []
        for _ in range(3):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-P", "-c", code.format(backend)], check=True, capture_output=True)
            seconds.append(time.perf_counter() - begin)
        print(f"start, 640x360 2x, {backend}: first frame after {median(seconds):.1f} s, its computing included")


def runs(count: int = 100) -> None:
    """Short vspipe runs, each of which must end by itself in time."""
    from support.processes import vspipe

    script = (
        "import vapoursynth as vs\n"
        "clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=3)\n"
        "vs.core.cugan.Upscale(clip).set_output()\n"
    )
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "short.vpy"
        path.write_text(script, encoding="utf-8")
        for _ in range(count):
            start = time.perf_counter()
            vspipe(str(path), "--", timeout=30).check_returncode()
            slowest = max(slowest, time.perf_counter() - start)
    print(f"runs: {count} short vspipe runs ended, the slowest after {slowest:.1f} s")


FIGURES = {"speed": speed, "cost": cost, "tiles": tiles, "memory": memory, "start": start, "runs": runs}


def main() -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    for name in sys.argv[1:] or FIGURES:
        FIGURES[name]()


if __name__ == "__main__":
    main()
