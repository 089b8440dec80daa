"""The network as an ONNX file."""

from __future__ import annotations

import numpy as np
import pytest
from support.frames import upscale

from vscugan.engine.engine import Engine
from vscugan.models.registry import default_noise, find
from vscugan.models.weights import load_released
from vscugan.runtime.onnx_writer import frame_model
from vscugan.settings import validate


@pytest.mark.parametrize(
    ("model", "scale"),
    [
        ("se", 2), ("se", 3), ("se", 4), ("pro", 2), ("pro", 3), ("fast", 2), ("waifu2x", 1), ("waifu2x-anime", 2),
        ("realesrgan-animevideo", 2), ("realesrgan-animevideo", 3), ("realesrgan-animevideo", 4),
        ("realesrgan-anime", 4),
    ],
)  # fmt: skip
def test_the_exported_network_gives_the_same_picture_elsewhere(model: str, scale: int, picture: np.ndarray) -> None:
    """The ONNX file for other programs, through ONNX Runtime, against our torch."""
    import onnxruntime

    x = np.ascontiguousarray(picture[:, 100:148, 260:324])
    weights = load_released(find(model=model, scale=scale, noise=default_noise(model)))
    session = onnxruntime.InferenceSession(frame_model(weights), providers=["CPUExecutionProvider"])
    theirs = session.run(["output"], {"input": x[None]})[0][0].clip(0, 1)
    ours = upscale(Engine(validate(backend="torch", model=model, scale=scale)), x)
    assert np.abs(ours - theirs).max() < 1e-4
