"""Runtimes that compute by graphs."""

from __future__ import annotations

import numpy as np
import pytest
from support.frames import upscale

from vscugan.engine.engine import Engine
from vscugan.runtime.graph_runtime import GraphRuntime
from vscugan.settings import validate


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_whole_frames_are_one_graph_and_tiles_five(backend: str, picture: np.ndarray) -> None:
    x = np.ascontiguousarray(picture[:, :64, :96])
    for tile, graphs in ((0, 1), (32, 5)):
        engine = Engine(validate(backend=backend, tile=tile, noise="denoise2x", alpha=1 + tile / 100))
        upscale(engine, x)
        runtime = engine.passes[0].runtime
        assert isinstance(runtime, GraphRuntime)
        assert len(runtime._sessions) == graphs
        del engine, runtime
