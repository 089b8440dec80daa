"""``reuse=exact``: bit-identical to off, and nothing computed twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.frames import arrays_of, planes

from vscugan.engine.engine import Engine


def test_exact_is_bit_identical_and_computes_each_content_once(
    core: Any, art_clip: Callable[..., vs.VideoNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    three = art_clip(length=3)
    order = (0, 0, 1, 1, 1, 2, 2, 0, 1, 2, 0, 0)
    clip = core.std.Splice([three[k].std.SetFrameProps(Number=n) for n, k in enumerate(order)])
    wanted = arrays_of(core.cugan.Upscale(clip, reuse="off"))
    computed: list[int] = []
    real = Engine.upscale

    def counted(self: Engine, source: np.ndarray, target: Any, n: int = 0, **rest: Any) -> Any:
        computed.append(n)
        return real(self, source, target, n, **rest)

    monkeypatch.setattr(Engine, "upscale", counted)
    up = core.cugan.Upscale(clip, report=1)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: up.get_frame(n), range(12)))
    assert all(np.array_equal(np.stack(planes(f)), w) for f, w in zip(got, wanted, strict=True))
    assert len(computed) == 3
    assert sum(f.props["CuganReused"] for f in got) == 9
    assert [f.props["Number"] for f in got] == list(range(12))
