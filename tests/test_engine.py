"""The engine's promises that no script shows: sharing, sharpness, overshoot."""

from __future__ import annotations

import gc
import weakref

import numpy as np
from conftest import upscale

from vscugan.engine import Engine
from vscugan.settings import validate


def test_weights_are_shared_and_go_with_the_last_user() -> None:
    first, second = Engine(validate(noise="denoise2x")), Engine(validate(noise=2, alpha=0.9))
    assert first.passes[0].runtime is second.passes[0].runtime
    runtime = weakref.ref(first.passes[0].runtime)
    del first
    gc.collect()
    assert runtime() is not None
    del second
    gc.collect()
    assert runtime() is None


def test_alpha_above_one_is_sharper(picture: np.ndarray) -> None:
    x = np.ascontiguousarray(picture[:, 100:164, 260:340])
    edges = [
        float(np.abs(np.diff(upscale(Engine(validate(alpha=alpha)), x), axis=2)).mean()) for alpha in (0.7, 1.0, 1.3)
    ]
    assert edges[0] < edges[1] < edges[2]
