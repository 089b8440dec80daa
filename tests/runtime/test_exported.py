"""Graphs that are kept for the next process."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from vscugan.cache import cache_folder

COLD = """
import sys
from vscugan.engine.engine import Engine
from vscugan.settings import validate
import numpy as np
x, out = np.full((3, 32, 32), 0.5, np.float32), np.empty((3, 64, 64), np.float32)
Engine(validate(backend="openvino")).upscale(x, list(out))
print("onnx" in sys.modules, float(out.sum()))
"""


def test_graphs_are_kept_whoever_else_writes_them() -> None:
    def cold() -> list[str]:
        run = subprocess.run([sys.executable, "-P", "-c", COLD], capture_output=True, text=True, check=True)
        return run.stdout.split()

    with ThreadPoolExecutor(2) as pool:
        beside = [pool.submit(cold) for _ in range(2)]
        values = {future.result()[1] for future in beside}
    assert len(values) == 1
    (kept,) = (cache_folder() / "graphs").iterdir()
    assert cold() == ["False", *values]  # the writer is not even imported
    content = kept.read_bytes()
    kept.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert cold() == ["True", *values]
    assert kept.read_bytes() == content
