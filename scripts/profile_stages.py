"""Where a frame's time goes: each stage against its multiply-adds. ``profile_stages.py [WIDTHxHEIGHT [SCALE]]``."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from typing import Any

import numpy as np

from vscugan.engine.engine import Engine
from vscugan.settings import validate

FRAMES = 3


def profile(backend: str, tile: int, width: int, height: int, scale: int) -> None:
    """Print seconds, share and GFLOP/s of each stage, and of what is not the network."""
    engine = Engine(validate(backend=backend, tile=tile, scale=scale))
    runtime: Any = engine.passes[0].runtime
    seconds: defaultdict[str, float] = defaultdict(float)

    def timed(name: str, function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments, **named)
            seconds[f"stage {arguments[0]}" if name == "stage" else name] += time.perf_counter() - start
            return result

        return call

    runtime.run_stage = timed("stage", runtime.run_stage)
    if runtime.name != "torch":
        runtime.run_network = timed("network", runtime.run_network)
    x = np.random.default_rng(0).random((3, height, width), dtype=np.float32)
    out = np.empty((3, height * scale, width * scale), np.float32)
    engine.upscale(x, list(out))
    seconds.clear()
    start = time.perf_counter()
    for _ in range(FRAMES):
        engine.upscale(x, list(out))
    total = (time.perf_counter() - start) / FRAMES
    edge = 2 * engine.architecture.pad_px  # what the layers take off is counted, too
    work = [float(count) * (height + edge) * (width + edge) for count in engine.architecture.shapes.multiply_adds]
    print(f"{backend}, tile={tile or 'whole'}, {width}x{height} {scale}x: {total:.3f} s a frame")
    flops = {f"stage {k}": 2 * count for k, count in enumerate(work)} | {"network": 2 * sum(work)}
    for name in sorted(seconds):
        each = seconds[name] / FRAMES
        print(
            f"  {name:8} {each:7.3f} s {each / total:6.1%}  {flops[name] / 1e9:8.1f} GFLOP  "
            f"{flops[name] / each / 1e9:6.0f} GFLOP/s"
        )
    rest = total - sum(seconds.values()) / FRAMES
    print(f"  rest     {rest:7.3f} s {rest / total:6.1%}  (padding, copies, means, clamping)")


def main() -> None:
    width, height = map(int, (sys.argv[1] if len(sys.argv) > 1 else "640x360").split("x"))
    scale = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    for backend, tile in (("torch", 128), ("torch", 0), ("openvino", 0), ("openvino", 256), ("onnxruntime", 0)):
        profile(backend, tile, width, height, scale)


if __name__ == "__main__":
    main()
