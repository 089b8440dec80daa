"""What a GPU computes is what torch computes on the CPU: whole, in tiles, with given gates, and in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.frames import upscale
from support.gpu_runtime import GpuRuntime

from vscugan.engine.engine import Engine
from vscugan.models.registry import default_noise
from vscugan.settings import validate
from vscugan.tiling.geometry import Rectangle, Span

MODELS = [
    ("se", 2), ("se", 3), ("se", 4), ("pro", 2), ("pro", 3), ("waifu2x", 1), ("waifu2x", 2), ("waifu2x-anime", 2),
    ("realesrgan-animevideo", 2), ("realesrgan-animevideo", 3), ("realesrgan-animevideo", 4), ("realesrgan-anime", 4),
]  # fmt: skip


def crop(picture: np.ndarray, height: int = 32, width: int = 48, at: int = 0) -> np.ndarray:
    """Real art, another part for each ``at``."""
    return np.ascontiguousarray(picture[:, 100 + at : 100 + at + height, 200 : 200 + width])


def on_cpu(**arguments: Any) -> Engine:
    return Engine(validate(backend="torch", device="cpu", **arguments))


@pytest.mark.parametrize(("model", "scale"), MODELS)
def test_models_and_their_gates_are_those_of_torch(
    gpu: GpuRuntime, model: str, scale: int, picture: np.ndarray
) -> None:
    x, arguments = crop(picture), {"model": model, "scale": scale}
    if default_noise(model) is not None:
        arguments["noise"] = "denoise3x"
    engine = gpu.engine(**arguments, tile=0)
    (got,), (gates,) = engine.render(x)
    (wanted,), (expected,) = on_cpu(**arguments).render(x)
    assert engine.report()["CuganRuntime"] == gpu.backend
    assert float(np.abs(got - wanted).max()) < 1e-4
    for gate, value in zip(gates, expected, strict=True):
        assert float(np.abs(gate - value).max()) < 1e-5


@pytest.mark.parametrize(
    ("model", "scale"), [("se", 2), ("se", 3), ("se", 4), ("waifu2x-anime", 2), ("realesrgan-animevideo", 3)]
)
def test_tiles_are_the_whole_frame(gpu: GpuRuntime, model: str, scale: int, picture: np.ndarray) -> None:
    x = crop(picture, 36, 49)
    arguments = {"model": model, "scale": scale, "alpha": 1.2 if model == "se" else 1.0}
    tiled = gpu.engine(**arguments, tile=32)
    assert np.abs(upscale(tiled, x) - upscale(gpu.engine(**arguments, tile=0), x)).max() < 2e-5
    assert tiled.passes[0].tile == "32x32"


def test_gates_that_are_given_are_used(gpu: GpuRuntime, picture: np.ndarray) -> None:
    x, other = crop(picture), crop(picture, at=60)
    engine = gpu.engine(tile=0)
    _, gates = engine.render(other)
    (got,), used = engine.render(x, gates=gates)
    (wanted,), _ = on_cpu().render(x, gates=gates)
    assert float(np.abs(got - wanted).max()) < 1e-4
    for gate, value in zip(used[0], gates[0], strict=True):
        assert bool((gate == value).all())


def test_a_part_that_is_painted_anew_is_the_frames_own(gpu: GpuRuntime, picture: np.ndarray) -> None:
    """What reuse=still does: the changed part alone is computed, with the gates of the scene."""
    engine, x = gpu.engine(tile=0), crop(picture, 48, 64)
    pictures, gates = engine.render(x)
    changed = x.copy()
    changed[:, 20:24, 30:36] = 0.5
    # as far as the change reaches
    area = Rectangle(rows=Span(start=0, stop=44), columns=Span(start=10, stop=56))
    engine.repaint(pictures, changed, [area], gates)
    (wanted,), _ = engine.render(changed, gates=gates)
    assert float(np.abs(pictures[0] - wanted).max()) < 2e-5
