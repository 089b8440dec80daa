"""fast, waifu2x and Real-ESRGAN through the filter: what they take, what is refused, and what all models share."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.clips import MAKE, alpha_of, changing, differences, message
from support.frames import planes, props_of

from vscugan.install import how_to_install
from vscugan.models import registry
from vscugan.models.registry import find

#: Models whose tiles and reuse follow two border rules and several multiples, and their scale.
SMALL = [("fast", 2), ("waifu2x", 1), ("waifu2x-anime", 2), ("realesrgan-animevideo", 2)]


@pytest.mark.parametrize("model", ["fast", "waifu2x-anime", "realesrgan-animevideo", "realesrgan-anime", "realesrgan"])
def test_networks_without_gates_take_no_alpha(model: str, core: Any, art_clip: MAKE) -> None:
    assert message(lambda: core.cugan.Upscale(art_clip(32, 24), model=model, alpha=1.2)) == (
        f"cugan.Upscale: alpha must be 1 for {model}, got 1.2; its network does not take it"
    )


def test_waifu2x_takes_alpha(core: Any, art_clip: MAKE) -> None:
    clip = art_clip(32, 24)
    one, other = (core.cugan.Upscale(clip, model="waifu2x", scale=1, alpha=alpha) for alpha in (1.0, 1.2))
    assert differences(one.get_frame(0), other.get_frame(0)) > 1e-3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"model": "waifu2x", "scale": 1, "noise": -1},
            "noise=no-denoise exists only for scale=2, got scale=1; use denoise0x, denoise1x, denoise2x or denoise3x",
        ),
        (
            {"model": "realesrgan", "noise": "denoise1x"},
            "noise must be left out for model=realesrgan, got denoise1x; it has no noise levels",
        ),
        (
            {"model": "realesrgan-animevideo", "noise": "denoise1x", "width": 40},
            "noise must be left out for model=realesrgan-animevideo, got denoise1x; it has no noise levels",
        ),
        (
            {"model": "waifu2x", "noise": "conservative"},
            "noise=conservative exists only for model=se, model=pro and model=fast, got model=waifu2x; "
            "use no-denoise, denoise0x, denoise1x, denoise2x or denoise3x",
        ),
    ],
)
def test_noise_levels_that_a_model_does_not_have(
    arguments: dict[str, Any], text: str, core: Any, art_clip: MAKE
) -> None:
    assert message(lambda: core.cugan.Upscale(art_clip(32, 24), **arguments)) == f"cugan.Upscale: {text}"


@pytest.mark.parametrize("noise", range(-1, 4))
def test_the_integers_are_those_of_waifu2x(noise: int, core: Any, art_clip: MAKE) -> None:
    up = core.cugan.Upscale(art_clip(24, 16), model="waifu2x-photo", noise=noise, report=1)
    level = "no-denoise" if noise < 0 else f"denoise{noise}x"
    row = find(model="waifu2x-photo", scale=2, noise=level)
    assert up.get_frame(0).props["CuganWeights"] == row.sha256


def test_waifu2x_at_1x_is_a_network_of_its_own(core: Any, art_clip: MAKE) -> None:
    clip = art_clip(33, 23)
    up = core.cugan.Upscale(clip, model="waifu2x", scale=1, noise=2, report=1)
    assert (up.width, up.height) == (33, 23)
    row = find(model="waifu2x", scale=1, noise="denoise2x")
    frame = up.get_frame(0)
    assert frame.props["CuganWeights"] == row.sha256
    assert row.architecture == "upcunet-1x"
    assert 1e-3 < differences(frame, clip.get_frame(0)) < 0.3


@pytest.mark.parametrize(
    ("arguments", "size", "way"),
    [
        ({"model": "waifu2x", "scale": 4}, (96, 64), "2x denoise0x, then 2x no-denoise"),
        ({"model": "waifu2x-anime", "scale": 3, "noise": 3}, (72, 48),
         "2x denoise3x, then 2x no-denoise, then spline36"),
        ({"model": "waifu2x", "width": 36}, (36, 24), "2x denoise0x, then spline36"),
        ({"model": "waifu2x", "height": 16}, (24, 16), "1x denoise0x"),
        ({"model": "waifu2x", "height": 8}, (12, 8), "1x denoise0x, then spline36"),
        ({"model": "fast", "scale": 4}, (96, 64), "2x no-denoise, then 2x conservative"),
        ({"model": "fast", "scale": 3, "strength": 1.5}, (72, 48),
         "2x strength=1.5, then 2x conservative, then spline36"),
        ({"model": "fast", "width": 24, "strength": 2}, (24, 16), "1x denoise2x"),
        ({"model": "realesrgan-animevideo", "scale": 6}, (144, 96),
         "2x realesrgan-animevideo, then 3x realesrgan-animevideo"),
        ({"model": "realesrgan-anime", "scale": 2}, (48, 32), "4x realesrgan-anime, then spline36"),
    ],
)  # fmt: skip
def test_sizes_are_reached_by_passes(
    arguments: dict[str, Any], size: tuple[int, int], way: str, core: Any, art_clip: MAKE
) -> None:
    lines: list[str] = []
    clip = art_clip(24, 16)
    handler = core.add_log_handler(lambda _, text: lines.append(text))
    try:
        up = core.cugan.Upscale(clip, **arguments)
    finally:
        core.remove_log_handler(handler)
    frame = up.get_frame(0)
    assert (frame.width, frame.height) == size
    assert f"cugan.Upscale: 24x16 -> {size[0]}x{size[1]} by {way}" in lines
    plain = planes(core.resize.Spline36(clip, *size).get_frame(0))  # it is the same picture
    assert float(np.abs(np.stack(planes(frame)) - np.stack(plain)).mean()) < 0.04


@pytest.mark.parametrize(("model", "scale"), SMALL)
def test_alpha_is_enlarged_with_the_picture(model: str, scale: int, core: Any, art_clip: MAKE) -> None:
    disc = core.resize.Spline36(art_clip(32, 24), format=vs.GRAYS, matrix=1)
    frame = core.cugan.Upscale(art_clip(32, 24), alpha_clip=disc, model=model, scale=scale).get_frame(0)
    alpha, plain = alpha_of(frame), planes(core.resize.Spline36(disc, 32 * scale, 24 * scale).get_frame(0))[0]
    assert alpha.shape == (24 * scale, 32 * scale)
    assert float(np.abs(alpha - plain).mean()) < 0.03


@pytest.mark.parametrize("reuse", ["exact", "still"])
@pytest.mark.parametrize(("model", "scale"), SMALL)
def test_what_stands_still_is_computed_once(
    model: str, scale: int, reuse: str, core: Any, picture: np.ndarray
) -> None:
    size = (192, 144) if model == "fast" else (96, 64)  # it looks further, and a part must be less than the whole
    clip, arguments = changing(core, picture, *size), {"model": model, "scale": scale}
    whole = core.cugan.Upscale(clip, reuse="off", **arguments)
    again = core.cugan.Upscale(clip, reuse=reuse, report=1, **arguments)
    reused = props_of(again, "CuganReused")
    assert reused[:2] == [0, 1]
    assert reused[2] == 0 if reuse == "exact" else 0 < reused[2] < 1
    for n in range(3):
        # gates are those of the scene, and what changes is taken to be seen 8 px away at most
        close = 0.02 if (reuse, n) == ("still", 2) and model != "waifu2x-anime" else 2e-5
        assert differences(again.get_frame(n), whole.get_frame(n)) < close


@pytest.mark.parametrize(("model", "extra"), [("waifu2x-anime", "waifu2x"), ("realesrgan", "realesrgan")])
def test_an_extra_that_is_not_installed_is_named(
    model: str, extra: str, core: Any, art_clip: MAKE, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = registry.importlib.util.find_spec
    absent = f"sr_vulkan_model_{extra}"
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name, *_: None if name == absent else real(name))
    for size in ({}, {"width": 40}):
        assert message(partial(core.cugan.Upscale, art_clip(32, 24), model=model, **size)) == (
            f"cugan.Upscale: the extra {extra}, for model={model}, must be installed, got no package "
            f"sr-vulkan-model-{extra}; {how_to_install(extra)}"
        )
    assert core.cugan.Upscale(art_clip(32, 24)).width == 64


def test_extras_are_not_looked_for_before_they_are_named() -> None:
    code = """
import importlib.util, sys
real, asked = importlib.util.find_spec, []
def find_spec(name, *rest):
    asked.append(name)
    return real(name, *rest)
importlib.util.find_spec = find_spec
import vscugan
from vscugan.engine.engine import Engine
from vscugan.settings import validate
Engine(validate(backend="torch"))
names = [*asked, *sys.modules]
print([name for name in names if "waifu2x" in name or "realesrgan" in name or "spandrel" in name])
"""
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
