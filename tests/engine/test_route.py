"""Routes: the cheapest passes to a size, and with which models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from vscugan.architectures import ARCHITECTURES
from vscugan.engine import route as route_module
from vscugan.engine.engine import Engine
from vscugan.engine.route import cheapest, direct, find_route
from vscugan.errors import ArgumentError
from vscugan.models.registry import find
from vscugan.models.weights import Weights, load_file, load_released
from vscugan.settings import validate

#: what each scale costs a px, 2x = 1
ALL = {2: 1.0, 3: 2.083, 4: 1.391}


def only(*scales: int) -> dict[int, float]:
    return {scale: ALL[scale] for scale in scales}


@pytest.mark.parametrize(
    ("source", "target", "route"),
    [
        ((640, 360), (640, 360), (2,)),  # 1x: twice and back
        ((640, 360), (320, 180), (2,)),
        ((640, 360), (1280, 720), (2,)),
        ((640, 360), (1282, 720), (4,)),  # one px beyond: the 4x model is cheaper than the 3x one
        ((640, 360), (1280, 722), (4,)),
        ((640, 360), (1920, 1080), (4,)),
        ((960, 540), (3840, 2160), (4,)),  # not two of 2x
        ((320, 180), (1600, 900), (2, 4)),  # 8x: small pictures first
        ((100, 100), (401, 100), (2, 4)),
        ((10, 10), (160, 160), (4, 4)),
    ],
)
def test_the_cheapest_passes(source: tuple[int, int], target: tuple[int, int], route: tuple[int, ...]) -> None:
    assert cheapest(source, target, ALL, ALL) == route


def test_what_exists_limits_the_route() -> None:
    assert cheapest((10, 10), (25, 25), only(2), ALL) == (2, 2)  # denoise1x exists only for 2x
    assert cheapest((10, 10), (25, 25), only(2, 3), only(2, 3)) == (3,)  # pro
    assert cheapest((10, 10), (40, 40), only(2, 3), only(2, 3)) == (2, 2)
    assert cheapest((10, 10), (80, 80), only(2), only(2)) == (2, 2, 2)


def test_a_model_that_keeps_the_size_ends_a_route(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cheapest((10, 10), (10, 10), {1: 1.0, 2: 1.0}, {1: 1.0, 2: 1.0}) == (1,)
    assert cheapest((10, 10), (40, 40), {1: 1.0, 2: 1.0}, {1: 1.0, 2: 1.0}) == (2, 2)
    only_1x = replace(find(model="se", scale=2, noise="no-denoise"), scale=1)
    monkeypatch.setattr(route_module, "rows", lambda: (only_1x,))
    with pytest.raises(ArgumentError) as error:
        find_route(validate(width=20), (10, 10), (20, 20))
    assert str(error.value) == (
        "model=se must have a scale above 1 for a larger picture, got only scale=1; use model=se"
    )


def test_only_the_first_pass_removes_noise_and_sharpens() -> None:
    route = find_route(validate(scale=6, noise="denoise1x", alpha=0.8), (10, 10), (60, 60))
    assert [(p.scale, p.level, p.alpha) for p in route] == [(2, "denoise1x", 0.8), (4, "conservative", 1.0)]


def test_a_scale_with_a_model_is_that_model_and_no_route() -> None:
    for scale in ALL:
        passes = direct(validate(scale=scale))
        assert passes is not None
        assert [p.scale for p in passes] == [scale]
    for arguments in ({"scale": 1}, {"scale": 2.5}, {"scale": 5}, {"width": 1280}, {"height": 720}):
        assert direct(validate(**arguments)) is None


@pytest.mark.parametrize("arguments", [{}, {"scale": 2}, {"scale": 6}])
def test_a_file_of_the_users_is_read_once(
    arguments: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, reads = tmp_path / "x.safetensors", []
    save_file(dict(load_released(find(model="se", scale=2, noise="conservative")).tensors), path)

    def counted(*words: str, **named: Any) -> Weights:
        reads.append(words)
        return load_file(*words, **named)

    monkeypatch.setattr(route_module, "load_file", counted)
    settings = validate(weights=str(path), device=["cpu", "cpu"], backend="torch", **arguments)
    passes = direct(settings) or find_route(settings, (10, 10), (60, 60))
    engine = Engine(settings, passes)
    assert engine.scale == (2 if len(passes) == 1 else 8)
    assert reads == [(str(path),)]


def test_a_scale_that_is_not_the_files(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file(dict(load_released(find(model="se", scale=2, noise="conservative")).tensors), path)
    with pytest.raises(ArgumentError) as error:
        direct(validate(weights=str(path), scale=3))
    assert str(error.value) == (
        "scale=3 must be that of the weights, got a file for scale=2; leave scale out or use another file"
    )


def test_a_noise_level_that_no_model_of_the_kind_has() -> None:
    with pytest.raises(ArgumentError) as error:
        find_route(validate(width=20, model="pro", noise="denoise1x"), (10, 10), (20, 20))
    assert str(error.value) == (
        "noise=denoise1x exists only for model=se, model=fast, model=waifu2x, model=waifu2x-anime and "
        "model=waifu2x-photo, got model=pro; use conservative, no-denoise or denoise3x"
    )


@pytest.mark.parametrize("scale", ALL)
def test_the_costs_are_those_of_the_networks(scale: int) -> None:
    row = ARCHITECTURES[f"upcunet-{scale}x"]
    assert float(sum(row.shapes.multiply_adds)) / 770_016 == pytest.approx(ALL[scale], rel=1e-3)


def test_of_what_costs_the_same_the_smaller_picture_is_made() -> None:
    assert cheapest((10, 10), (15, 15), {2: 1.002, 4: 1.0}, {2: 1.002, 4: 1.0}) == (2,)
    assert [p.scale for p in find_route(validate(scale=1.5, model="realesrgan-animevideo"), (20, 20), (30, 30))] == [2]
