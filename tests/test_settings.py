"""The rows of the options: what is checked, and what it becomes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vscugan import runtime
from vscugan.errors import ArgumentError
from vscugan.image.results import DECIDING
from vscugan.models import registry
from vscugan.settings import ARGUMENTS, OPTIONS, SIGNATURE, Settings, validate

ROOT = Path(__file__).parent.parent


def message(**given: Any) -> str:
    with pytest.raises(ArgumentError) as error:
        validate(**given)
    return str(error.value)


def test_the_native_build_reads_the_rows_without_any_package() -> None:
    """pip builds where neither vscugan nor torch is installed."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); from vscugan import settings; print(settings.SIGNATURE)"
    run = subprocess.run([sys.executable, "-I", "-S", "-c", code, ROOT], capture_output=True, text=True, check=True)
    assert run.stdout == f"{SIGNATURE}\n"


def test_what_is_left_out_is_the_default() -> None:
    assert validate() == Settings()
    assert validate(**dict.fromkeys(OPTIONS)) == Settings()
    with pytest.raises(TypeError, match="unexpected keyword argument 'clip'"):
        validate(clip=1, scale=0)


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"width": 640}, {"width": 640, "scale": None}),
        ({"height": 480}, {"height": 480, "scale": None}),
        ({"weights": "x.pth"}, {"weights": "x.pth", "scale": None, "model": None}),
        ({"weights": "x.pth", "scale": 3, "model": "pro"}, {"weights": "x.pth", "scale": 3, "model": "pro"}),
        ({"reuse": "still"}, {"reuse": "still", "gates": "scene"}),
        ({"gates": "scene"}, {"gates": "scene"}),
        ({"reuse": "exact", "gates": "frame"}, {}),
        ({"noise": "-1"}, {}),
        ({"noise": 0}, {"noise": "conservative"}),
        ({"model": "waifu2x"}, {"model": "waifu2x", "noise": "denoise0x"}),
        ({"model": "waifu2x", "noise": 0}, {"model": "waifu2x", "noise": "denoise0x"}),
        ({"model": "waifu2x-photo", "noise": -1}, {"model": "waifu2x-photo", "noise": "no-denoise"}),
        ({"model": "realesrgan-animevideo"}, {"model": "realesrgan-animevideo", "noise": None}),
        ({"model": "realesrgan"}, {"model": "realesrgan", "noise": None, "scale": 4}),
        ({"model": "realesrgan", "height": 9}, {"model": "realesrgan", "noise": None, "scale": None, "height": 9}),
        ({"model": "fast", "noise": 0}, {"model": "fast", "noise": "conservative"}),
        ({"model": "fast", "strength": 1.5}, {"model": "fast", "noise": None, "strength": 1.5}),
        ({"tile": 64}, {"tile": (64, 64)}),
        ({"device": "cuda:1"}, {"device": ("cuda:1",)}),
        ({"linear": 1, "report": 0}, {"linear": True}),
    ],
)
def test_values_become_settings(given: dict[str, Any], changed: dict[str, Any]) -> None:
    settings = validate(**given)
    assert settings == replace(Settings(), **changed)
    assert type(settings.linear) is type(settings.report) is bool


def test_of_several_wrong_arguments_the_same_is_named_as_ever() -> None:
    wrong: dict[str, Any] = {
        "width": 0, "height": 0, "scale": 99.0, "model": "x", "alpha": 9.0, "memory": 1, "kernel": "x", "linear": 2,
        "report": 2, "overshoot": "x", "backend": "x", "precision": "x", "reuse": "x", "gates": "x", "segment": 1,
        "threshold": 99.0, "streams": 0, "noise": "x", "strength": 9.0, "tile": 1, "device": "x",
    }  # fmt: skip
    for name in tuple(wrong):
        assert message(**wrong).startswith(f"{name} must be "), name
        del wrong[name]
    assert message(weights="", model="x").startswith("model must be ")
    assert message(weights="", alpha=9.0).startswith("weights must be ")
    # what contradicts each other is said before what is wrong by itself, where it comes first
    assert message(scale=99.0, width=1).startswith("scale must be left out where width or height is given, got 99; ")
    assert message(weights="", noise="x").startswith("noise must be left out where weights is given, got x; ")
    assert message(gates="frame", reuse="still", segment=1).startswith("gates must be scene with reuse=still, got ")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"strength": 1.0}, "strength must be left out without model=fast, got 1; use noise, or model=fast"),
        (
            {"strength": 1.0, "model": "se"},
            "strength must be left out without model=fast, got 1; use noise, or model=fast",
        ),
        (
            {"strength": 1.0, "weights": "x.safetensors"},
            "strength must be left out without model=fast, got 1; use noise, or model=fast",
        ),
        (
            {"strength": 0.5, "model": "fast", "noise": 1},
            "strength must be left out where noise is given, got 0.5; use one of the two",
        ),
        ({"strength": 3.1}, "strength must be 0 to 3, got 3.1; 0 is conservative, and 3 is denoise3x"),
        ({"strength": float("nan")}, "strength must be 0 to 3, got nan; 0 is conservative, and 3 is denoise3x"),
    ],
)
def test_a_strength_is_for_models_with_all_levels_in_one_file(given: dict[str, Any], expected: str) -> None:
    assert message(**given) == expected


def test_models_and_backends_are_those_of_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    names = "se, pro, fast, waifu2x, waifu2x-anime, waifu2x-photo, realesrgan-animevideo, realesrgan-anime"
    assert message(model="toy") == f"model must be {names} or realesrgan, got toy; use one of these"
    assert message(backend="toy") == (
        "backend must be auto, torch, openvino, onnxruntime, ncnn, tensorrt, directml or webgpu, got toy; "
        "use one of these"
    )
    rows = (*registry.rows(), replace(registry.rows()[0], model="toy"))
    monkeypatch.setattr(registry, "rows", lambda: rows)
    monkeypatch.setitem(runtime.BACKENDS, "toy", "toy_runtime")
    settings = validate(model="toy", backend="toy")
    assert (settings.model, settings.backend) == ("toy", "toy")
    assert message(model="x") == f"model must be {names}, realesrgan or toy, got x; use one of these"


def test_no_two_arguments_have_one_place() -> None:
    """Scripts may give them by place, so those there are must never move."""
    assert [option.position for option in ARGUMENTS.values()] == list(range(len(ARGUMENTS)))
    assert list(ARGUMENTS)[:24] == [
        "clip", "scale", "noise", "model", "weights", "alpha", "tile", "device", "precision", "streams", "format",
        "width", "height", "kernel", "linear", "overshoot", "alpha_clip", "backend", "report", "memory", "reuse",
        "segment", "threshold", "gates",
    ]  # fmt: skip


def test_a_batch_of_pictures_is_known_by_the_same_options_as_ever() -> None:
    """The names are in files beside results; an option that is not here must leave the picture as it is."""
    assert DECIDING == (
        "scale", "width", "height", "noise", "strength", "model", "alpha", "kernel", "linear", "overshoot", "halo",
        "precision",
    )  # fmt: skip
