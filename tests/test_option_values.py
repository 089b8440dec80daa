"""Values of options: read from the command line, and checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from vscugan.errors import ArgumentError
from vscugan.option_values import (
    Check,
    at_least,
    between,
    check_choice,
    check_flag,
    check_path,
    device,
    device_names,
    limits,
    listed,
    noise_level,
    number,
    plain,
    tile,
    tile_size,
)

NOISE = noise_level(("conservative", "no-denoise", "denoise3x"), (0, -1, 3))
NOISE_ALLOWED = "conservative, no-denoise, denoise3x or -1 to 3"
TILE = tile_size(32)
DEVICE = device_names({"auto": False, "cpu": False, "cuda": True}, 3)
DEVICE_ALLOWED = "auto, cpu, mps, gpu, gpu:N, cuda, cuda:N, xpu or xpu:N"


def refusal(check: Callable[[], object]) -> str:
    with pytest.raises(ArgumentError) as error:
        check()
    return str(error.value)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (number, "2", 2),
        (number, "-2", -2),
        (number, "2.0", 2.0),
        (number, "1e1", 10.0),
        (number, "inf", math.inf),
        (tile, "64", 64),
        (tile, "64,32", [64, 32]),
        (tile, "64,32,1", [64, 32, 1]),
        (device, "cpu", "cpu"),
        (device, "", ""),
        (device, "cuda:0,,cpu", ["cuda:0", "", "cpu"]),
    ],
)
def test_values_of_the_command_line(read: Callable[[str], object], text: str, value: object) -> None:
    got = read(text)
    assert (got, got.__class__) == (value, value.__class__)


@pytest.mark.parametrize(
    ("read", "text"), [(number, ""), (number, "--2"), (number, "²"), (tile, ""), (tile, "64,"), (tile, "64x64")]
)
def test_what_is_no_number_is_an_error_of_the_value(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"^(could not convert string to float|invalid literal for int)"):
        read(text)


def test_words_of_messages() -> None:
    assert [listed(items) for items in (["a"], ["a", "b"], ("a", 2, 3.5))] == ["a", "a or b", "a, 2 or 3.5"]
    assert listed(["a", "b"], "and") == "a and b"
    assert [plain(value) for value in (2.0, 2, 1.5, math.nan, 10**20)] == ["2", "2", "1.5", "nan", "1" + "0" * 20]


@pytest.mark.parametrize(
    ("check", "value", "checked"),
    [
        (check_flag, 0, False),
        (check_flag, 1, True),
        (check_flag, True, True),
        (check_path, "a b", "a b"),
        (between(1, 4, advice=""), 1, 1),
        (between(1, 4, advice=""), 4.0, 4.0),
        (at_least(1, "px", advice=""), 1, 1),
        (NOISE, "denoise3x", "denoise3x"),
        (NOISE, 0, 0),
        (NOISE, "-1", -1),
        (TILE, 64, (64, 64)),
        (TILE, [64], (64, 64)),
        (TILE, (0, 32), (0, 32)),
        (TILE, 0, (0, 0)),
        (DEVICE, "cuda:1", ("cuda:1",)),
        (DEVICE, ["cpu", "cuda", "cuda:9999"], ("cpu", "cuda", "cuda:9999")),
        (DEVICE, ["cpu", "cpu"], ("cpu", "cpu")),
    ],
)
def test_what_is_allowed_has_the_form_of_settings(check: Check, value: object, checked: object) -> None:
    got = check("name", value)
    assert (got, got.__class__) == (checked, checked.__class__)


@pytest.mark.parametrize("value", [2, -1, 0.5, "1", None])
def test_flags(value: object) -> None:
    assert refusal(lambda: check_flag("linear", value)) == f"linear must be 0 or 1, got {value}; use one of these"


def test_choices_and_paths() -> None:
    assert refusal(lambda: check_choice("kernel", "A", ("a", "b"))) == "kernel must be a or b, got A; use one of these"
    assert refusal(lambda: check_path("weights", "")) == (
        "weights must be a file, got an empty path; leave it out for the released models"
    )


@pytest.mark.parametrize("value", [0, 5, 4.001, 0.999, math.nan, math.inf, -math.inf])
def test_numbers_with_limits(value: float) -> None:
    got = plain(value)
    assert refusal(lambda: between(1, 4, "frames", advice="do so")("n", value)) == (
        f"n must be 1 to 4 frames, got {got}; do so"
    )
    assert refusal(lambda: between(1, 4, advice="do so")("n", value)) == f"n must be 1 to 4, got {got}; do so"
    assert refusal(lambda: limits(lambda x: 1 <= x <= 4, "so", "")("n", value)) == f"n must be so, got {got}; "
    if not value >= 1:
        assert refusal(lambda: at_least(1, "px", advice="do so")("n", value)) == (
            f"n must be at least 1 px, got {got}; do so"
        )


@pytest.mark.parametrize("value", ["", "x", "2", 2, "Conservative", "0.0", 10**30, "³", "9" * 5000])
def test_noise_levels(value: str | int) -> None:
    """The last is more digits than Python makes a number of."""
    assert refusal(lambda: NOISE("noise", value)) == (
        f"noise must be {NOISE_ALLOWED}, got {value}; -1 is no-denoise, and 0 is conservative, "
        "as in vs-mlrt, or waifu2x's denoise0x"
    )


@pytest.mark.parametrize(("value", "count"), [([], 0), ([1, 2, 3], 3), (list(range(100)), 100)])
def test_tiles_of_other_counts(value: Any, count: int) -> None:
    assert refusal(lambda: TILE("tile", value)) == (
        f"tile must be one or two numbers, got {count}; use tile=[width, height]"
    )


@pytest.mark.parametrize(("value", "size"), [(31, 31), ([64, 31], 31), ([-1, 64], -1), (-(2**63), -(2**63))])
def test_tiles_that_are_too_small(value: Any, size: int) -> None:
    assert refusal(lambda: TILE("tile", value)) == (
        f"tile must be 0 or at least 32 px, got {size}; use 0 for the whole frame, or leave tile out to have it chosen"
    )


@pytest.mark.parametrize("count", [0, 4])
def test_devices_of_other_counts(count: int) -> None:
    assert refusal(lambda: DEVICE("device", ["cpu"] * count)) == (
        f"device must be 1 to 3 devices, got {count}; leave it out to have one chosen"
    )


@pytest.mark.parametrize(
    "wrong", ["", "gpu", "CPU", "cpu:0", "auto:", "cuda:", "cuda:-1", "cuda:1 ", "cuda:1:1", "cuda:10000", "cuda:²"]
)
def test_devices_of_no_kind(wrong: str) -> None:
    """One wrong name among right ones is the one that is named; digits are those of ASCII."""
    for value in (wrong, ["cpu", wrong, "cuda:0"]):
        assert refusal(lambda value=value: DEVICE("device", value)) == (  # type: ignore[misc]
            f"device must be {DEVICE_ALLOWED}, got {wrong}; use auto to have it chosen"
        )
