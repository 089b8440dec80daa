"""The modes and all other options: what goes together does, and what does not is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.frames import arrays_of, bits, bits_of, or_int8_is_refused, painted, planes, props_of, psnr
from support.motion import still_of

from vscugan.reuse import choose


def test_little_memory_changes_no_bit(tiny: vs.VideoNode, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = bits_of(still_of(tiny))
    monkeypatch.setattr(choose, "_limit", lambda: 1)
    up = still_of(tiny)
    vs.core.std.SetVideoCache(up, mode=0)
    for n in [*range(tiny.num_frames), *range(tiny.num_frames - 1, -1, -3)]:
        assert bits(up.get_frame(n)) == wanted[n]


@pytest.mark.parametrize(
    "arguments",
    [
        {"backend": "torch"},
        {"scale": 3, "noise": "denoise3x"},
        {"scale": 4},
        {"model": "pro", "alpha": 0.9},
        {"scale": 6},  # two passes
        {"width": 100},
        {"overshoot": "restore"},
        {"tile": 32, "memory": 64},
        {"precision": "bf16"},
        {"backend": "onnxruntime"},
    ],
    ids=str,
)
def test_still_goes_with_every_option(tiny: vs.VideoNode, arguments: dict[str, Any]) -> None:
    clip = tiny.std.CropAbs(62, 46)[:6].resize.Bicubic(format=vs.RGBS)  # no multiple of a cell
    full = arrays_of(vs.core.cugan.Upscale(clip, reuse="off", **arguments))
    still = still_of(clip, report=1, **arguments)
    got = arrays_of(still)
    assert min(psnr(a, b) for a, b in zip(got, full, strict=True)) > 45
    assert np.abs(got[0] - full[0]).max() < 1e-5
    assert max(props_of(still, "CuganReused")) > 0


@pytest.mark.instruction_set
@or_int8_is_refused
def test_still_goes_with_int8(tiny: vs.VideoNode) -> None:
    test_still_goes_with_every_option(tiny, {"precision": "int8", "backend": "openvino"})


def test_still_with_alpha(core: Any, tiny: vs.VideoNode) -> None:
    clip = tiny[:6].resize.Bicubic(format=vs.RGBS)
    alpha = core.std.BlankClip(format=vs.GRAYS, width=64, height=48, length=6, color=1.0, keep=True)

    def paint(n: int, planes: list[np.ndarray]) -> None:
        planes[0][:, : 8 + n % 2] = 0

    alpha = painted(core, alpha, paint)
    full, still = (core.cugan.Upscale(clip, alpha_clip=alpha, reuse=reuse, segment=4) for reuse in ("off", "still"))
    for n in range(6):
        a, b = full.get_frame(n), still.get_frame(n)
        assert psnr(np.stack(planes(a)), np.stack(planes(b))) > 45
        assert np.array_equal(np.array(a.props["_Alpha"][0]), np.array(b.props["_Alpha"][0]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reuse": "yes"}, "reuse must be off, exact or still, got yes; use one of these"),
        ({"gates": "clip"}, "gates must be frame or scene, got clip; use one of these"),
        ({"reuse": "still", "gates": "frame"}, "gates must be scene with reuse=still, got frame; "),
        ({"segment": 1}, "segment must be 2 to 240 frames, got 1; leave it out for 24"),
        ({"threshold": 17.0}, "threshold must be 0 to 16 codes of 8 bit, got 17; "),
        ({"threshold": float("nan")}, "threshold must be 0 to 16 codes of 8 bit, got nan; "),
    ],
)
def test_errors(core: Any, art_clip: Callable[..., vs.VideoNode], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(vs.Error) as caught:
        core.cugan.Upscale(art_clip(), **arguments)
    assert str(caught.value).startswith(f"cugan.Upscale: {message}")
