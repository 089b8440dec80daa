"""Runtimes that compute by graphs."""

from __future__ import annotations

import numpy as np
import pytest
from support.frames import upscale

from vscugan.engine.engine import Engine
from vscugan.runtime.graph_runtime import GraphRuntime
from vscugan.runtime.onnx_runtime import OnnxRuntime
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

def test_tiles_of_a_runtime_without_maps_are_computed_from_the_input(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums of maps and gates that are given, with stages never run alone; sides of 33 px end in half a multiple."""
    monkeypatch.setattr(OnnxRuntime, "keeps_maps", False)
    x = np.ascontiguousarray(picture[:, :75, :97])
    for scale in (2, 3, 4):
        arguments = {"backend": "onnxruntime", "scale": scale, "alpha": 1.2}
        whole, tiled = (Engine(validate(**arguments, tile=tile)) for tile in (0, 33))
        assert np.abs(upscale(tiled, x) - upscale(whole, x)).max() < 2e-5
        runtime = tiled.passes[0].runtime
        assert isinstance(runtime, GraphRuntime)
        assert sorted(str(key[0]) for key in runtime._sessions) == [*["network"] * 2, *["prefix"] * 4]
        assert tiled.passes[0].tile == "33x33"
