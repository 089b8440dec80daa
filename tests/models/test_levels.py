"""Files with all noise levels: names, and strengths between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file as read_tensors
from safetensors.numpy import save_file
from support.frames import upscale
from support.weight_files import refusal

from vscugan.architectures.halfnet import HALFNETS, LEVELS
from vscugan.engine.engine import Engine
from vscugan.engine.route import direct, find_route
from vscugan.errors import ArgumentError
from vscugan.models.levels import at_level, level_text, shares
from vscugan.models.registry import default_noise, find, noise_named, released_folder
from vscugan.models.weights import by_scale, load_file, load_released
from vscugan.settings import validate

FAST = find(model="fast", scale=2, noise="no-denoise")
FILE = released_folder(FAST) / FAST.file


def through(picture: np.ndarray, **arguments: object) -> np.ndarray:
    x = np.ascontiguousarray(picture[:, 100:124, 200:232])
    return upscale(Engine(validate(backend="torch", **arguments)), x)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("no-denoise", (0, 1, 0, 0, 0)),
        (0.0, (1, 0, 0, 0, 0)),
        (0.25, (0.75, 0, 0.25, 0, 0)),
        (1.0, (0, 0, 1, 0, 0)),
        (2.5, (0, 0, 0, 0.5, 0.5)),
        (3.0, (0, 0, 0, 0, 1)),
    ],
)
def test_a_level_is_a_mix_of_at_most_two(level: str | float, expected: tuple[float, ...]) -> None:
    assert shares(LEVELS, level) == expected


def test_strengths_that_are_levels_are_called_so() -> None:
    assert [level_text(level) for level in ("no-denoise", 0.0, 1, 3.0)] == [
        "no-denoise", "conservative", "denoise1x", "denoise3x",
    ]  # fmt: skip
    assert level_text(1.5) == "strength=1.5"


@pytest.mark.parametrize("level", ["no-denoise", 0.25])
def test_a_loaded_network_is_a_level_or_a_mix_of_two(level: str | float) -> None:
    tensors = {name: values.astype(np.float32) for name, values in read_tensors(FILE).items()}
    found = at_level(tensors, LEVELS, level)
    assert found.keys() == HALFNETS[0].tensor_shapes.keys()
    for name, tensor in tensors.items():
        of_level = tensor[1] if level == "no-denoise" else 0.75 * tensor[0] + 0.25 * tensor[2]
        np.testing.assert_allclose(found[name], of_level, rtol=1e-6, atol=1e-7)


def test_weights_go_steadily_from_one_level_to_the_next() -> None:
    each = [load_released(FAST, strength).tensors for strength in (1.0, 1.25, 1.75, 2.0)]
    for name in each[0]:
        values = np.stack([tensors[name] for tensors in each])
        steps = np.diff(values, axis=0) * np.sign(values[-1] - values[0])
        assert float(steps.min()) >= -1e-6, name


@pytest.mark.parametrize(("strength", "noise"), [(0, "conservative"), (1, "denoise1x"), (2, 2), (3.0, "denoise3x")])
def test_a_whole_strength_is_the_level_bit_for_bit(strength: float, noise: str | int, picture: np.ndarray) -> None:
    one, other = (through(picture, model="fast", **level) for level in ({"strength": strength}, {"noise": noise}))
    assert np.array_equal(one, other)


def test_integers_are_levels(picture: np.ndarray) -> None:
    assert [noise_named("fast", n) for n in range(-1, 4)] == ["no-denoise", "conservative", *LEVELS[2:]]
    assert default_noise("fast") == "no-denoise"
    engine = Engine(validate(model="fast", noise=-1, backend="torch", scale=4), find_route(
        validate(model="fast", scale=4), (10, 10), (40, 40)
    ))  # fmt: skip
    assert engine.report()["CuganNoise"] == "no-denoise, conservative"
    assert "CuganNoise" not in Engine(validate(backend="torch")).report()


def test_levels_of_one_file_do_not_share_a_runtime() -> None:
    engines = [Engine(validate(model="fast", backend="torch", **level)) for level in ({"strength": 0.5}, {"noise": 2})]
    runtimes = [engine.passes[0].runtime for engine in engines]
    assert runtimes[0] is not runtimes[1]


@pytest.mark.parametrize("scale", [1, 2])
def test_a_file_of_the_users_is_as_the_released_one(scale: int, tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(FILE.read_bytes())
    for level in ({}, {"strength": 0.5}, {"noise": "denoise3x"}):
        settings = validate(model="fast", weights=str(path), scale=scale, backend="torch", **level)
        passes = direct(settings) or find_route(settings, (32, 24), (32 * scale, 24 * scale))
        x = np.ascontiguousarray(picture[:, 100:124, 200:232])
        ours = upscale(Engine(settings, passes), x)
        assert np.array_equal(ours, through(picture, model="fast", scale=scale, **level))


def test_later_passes_of_a_file_change_least(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(FILE.read_bytes())
    settings = validate(model="fast", weights=str(path), width=40, strength=3)
    route = find_route(settings, (10, 10), (40, 40))
    assert [step.load().level for step in route] == ["denoise3x", "conservative"]
    assert set(by_scale(load_file(str(path)))) == {1, 2}
    with pytest.raises(ArgumentError) as error:
        load_file(str(path), model="se")
    assert str(error.value) == "model=se must be that of the weights, got a file of HalfNet; leave model out"


def test_a_file_lacks_a_level(tmp_path: Path) -> None:
    path, tensors = tmp_path / "x.safetensors", read_tensors(FILE)
    hint = "use a file of Real-CUGAN, waifu2x or Real-ESRGAN"
    save_file({name: values for name, values in tensors.items() if name != "middle.0.bias"}, path)
    assert refusal(path).startswith(f"{path} must hold {len(tensors)} tensors, got none named middle.0.bias; {hint}")
    save_file(tensors | {"middle.0.bias": tensors["middle.0.bias"][:4]}, path)
    assert refusal(path).startswith(f"{path} must hold middle.0.bias of shape (5, 96), got (4, 96); {hint}")
