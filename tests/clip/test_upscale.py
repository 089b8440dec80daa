"""vscugan.upscale, the typed twin, and what it reads back."""

from __future__ import annotations

from typing import Any

import numpy as np
import vapoursynth as vs
from support.clips import MAKE, equal, message
from support.frames import planes

import vscugan
from vscugan.models import weights as weights_module
from vscugan.models.registry import find


def test_names_integers_and_the_python_twin_agree(core: Any, art_clip: MAKE) -> None:
    source = art_clip(32, 32)
    names = {-1: "no-denoise", 0: "conservative", 1: "denoise1x", 2: "denoise2x", 3: "denoise3x"}
    seen = []
    for number, name in names.items():
        frames = [
            core.cugan.Upscale(source, noise=name).get_frame(0),
            core.cugan.Upscale(source, noise=number).get_frame(0),
            vscugan.upscale(source, noise=number).get_frame(0),
        ]
        assert equal(frames[0], frames[1])
        assert equal(frames[0], frames[2])
        seen.append(planes(frames[0]))
    assert not any(np.array_equal(a[0], b[0]) for i, a in enumerate(seen) for b in seen[:i])
    assert equal(core.cugan.Upscale(source).get_frame(0), core.cugan.Upscale(source, noise=-1).get_frame(0))


def test_a_report_tells_what_ran(core: Any, art_clip: MAKE) -> None:
    clip = core.resize.Spline36(art_clip(80, 64), format=vs.YUV420P8, matrix=1)
    for backend in ("torch", "openvino", "onnxruntime"):
        up = core.cugan.Upscale(clip, scale=6, backend=backend, tile=[64, 32], report=1)
        report = vscugan.describe(up)
        weights = report.pop("weights").split(", ")
        assert report == {"runtime": backend, "device": "cpu", "precision": "fp32", "tile": "64x32, 64x32"}
        assert weights == [
            weights_module.load_released(find(model="se", scale=scale, noise=noise)).sha256
            for scale, noise in ((2, "no-denoise"), (4, "conservative"))
        ]
    assert vscugan.describe(core.cugan.Upscale(clip, report=1, backend="openvino"))["tile"] == "whole"
    assert not any(name.startswith("Cugan") for name in core.cugan.Upscale(clip).get_frame(0).props)
    assert message(lambda: vscugan.describe(clip)) == (
        "cugan.Upscale: clip must tell what made it, got a frame without Cugan props; make it with report=1"
    )
