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
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import torch

from vscugan.engine import Engine
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
    """Engine against the same network as a plain NCHW eager module, 320x180 2x."""
    from plain_upcunet import plain_upcunet

    settings = validate(tile=0)
    weights, engine = load_released(find(model="se", scale=2, noise=settings.noise)).tensors, Engine(settings)
    x = np.random.default_rng(0).random((3, 180, 320), dtype=np.float32)
    out = np.empty((3, 360, 640), np.float32)

    def plain() -> None:
        with torch.inference_mode():
            plain_upcunet(weights, torch.from_numpy(x)[None], scale=2, pro=False)

    ours, theirs = alternate(lambda: engine.upscale(x, list(out)), plain)
    print(f"speed, 320x180 2x fp32: ours {ours:.3f} s, plain torch {theirs:.3f} s, ratio {theirs / ours:.2f}")


def cost() -> None:
    """core.cugan.Upscale on a YUV clip against the engine on ready arrays, 640x360 2x."""
    import vapoursynth as vs

    core = vs.core
    core.num_threads = 1
    clip = core.std.BlankClip(format=vs.YUV420P8, width=640, height=360, length=100, color=[120, 90, 160], keep=True)
    node, engine = core.cugan.Upscale(clip, tile=0), Engine(validate(tile=0))
    x = np.full((3, 360, 640), 0.4, np.float32)
    out = np.empty((3, 720, 1280), np.float32)
    frames = iter(range(100))
    ours, theirs = alternate(lambda: node.get_frame(next(frames)).close(), lambda: engine.upscale(x, list(out)))
    print(f"cost, 640x360 2x: filter {ours:.3f} s, engine {theirs:.3f} s, the filter's own {ours / theirs - 1:+.1%}")


def memory() -> None:
    """Peak memory of one 1920x1080 -> 3840x2160 frame with tile=256, over idle, and the whole frame's picture."""
    engine = Engine(validate(tile=256))
    small = np.random.default_rng(0).random((3, 64, 64), dtype=np.float32)
    engine.upscale(small, list(np.empty((3, 128, 128), np.float32)))
    rng = np.random.default_rng(1)
    x = np.ascontiguousarray(rng.random((3, 68, 120), dtype=np.float32).repeat(16, 1).repeat(16, 2)[:, :1080])
    process, peak, done = psutil.Process(), 0, threading.Event()
    idle = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    tiled = np.empty((3, 2160, 3840), np.float32)
    engine.upscale(x, list(tiled))
    done.set()
    watcher.join()
    whole = np.empty_like(tiled)
    Engine(validate(tile=0)).upscale(x, list(whole))
    print(
        f"memory, 1920x1080 2x tile=256: peak {(peak - idle) / 2**30:.2f} GiB over idle, "
        f"largest difference to the whole frame {np.abs(whole - tiled).max():.1e}"
    )


def runs(count: int = 100) -> None:
    """Short vspipe runs, each of which must end by itself in time."""
    script = (
        "import vapoursynth as vs\n"
        "clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=3)\n"
        "vs.core.cugan.Upscale(clip).set_output()\n"
    )
    environment = os.environ | {"VIRTUAL_ENV": sys.prefix, "PATH": f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}"}
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "short.vpy"
        path.write_text(script, encoding="utf-8")
        for _ in range(count):
            start = time.perf_counter()
            command = [str(Path(sys.executable).with_name("vspipe")), str(path), "--"]
            subprocess.run(command, check=True, capture_output=True, env=environment, timeout=30)
            slowest = max(slowest, time.perf_counter() - start)
    print(f"runs: {count} short vspipe runs ended, the slowest after {slowest:.1f} s")


FIGURES = {"speed": speed, "cost": cost, "memory": memory, "runs": runs}


def main() -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    for name in sys.argv[1:] or FIGURES:
        FIGURES[name]()


if __name__ == "__main__":
    main()
