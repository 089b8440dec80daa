"""Values of options: how the command line reads them, and how they are checked.

A check takes the option's name and the value that was given, and returns the value as Settings holds it. It raises
ArgumentError, whose message names the option, what is allowed and the way out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from vscugan.errors import ArgumentError

Check = Callable[[str, Any], Any]


def number(text: str) -> float | int:
    """A number, whole where it is written so."""
    return int(text) if text.lstrip("-").isdigit() else float(text)


def tile(text: str) -> int | list[int]:
    """One size in px, or width and height with a comma between them."""
    sizes = [int(size) for size in text.split(",")]
    return sizes[0] if len(sizes) == 1 else sizes


def device(text: str) -> str | list[str]:
    """A device, or several with commas between them."""
    names = text.split(",")
    return names[0] if len(names) == 1 else names


def listed(items: Sequence[object], word: str = "or") -> str:
    """Items as a message lists them: a, b or c."""
    return str(items[0]) if len(items) == 1 else ", ".join(map(str, items[:-1])) + f" {word} {items[-1]}"


def plain(number: float) -> str:
    """A number as a message shows it: 2 for 2.0."""
    return f"{number:g}" if isinstance(number, float) else str(number)


def check_choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """Raise ArgumentError where the value is none of several."""
    if value not in allowed:
        raise ArgumentError(f"{name} must be {listed(allowed)}, got {value}; use one of these")


def check_flag(name: str, value: object) -> bool:
    """A switch, as VapourSynth has them: 0 or 1."""
    check_choice(name, value, (0, 1))
    return bool(value)


def check_path(name: str, value: str) -> str:
    """The path of a weight file, which is opened later."""
    if value == "":
        raise ArgumentError(f"{name} must be a file, got an empty path; leave it out for the released models")
    return value


def limits(test: Callable[[float], bool], allowed: str, advice: str) -> Check:
    """A check of a number by ``test``, which must be false for NaN; ``allowed`` says the same in words."""

    def check(name: str, value: float) -> float:
        if not test(value):
            raise ArgumentError(f"{name} must be {allowed}, got {plain(value)}; {advice}")
        return value

    return check


def between(least: int, most: int, unit: str = "", *, advice: str) -> Check:
    """A check of a number with both limits, which are allowed themselves."""
    return limits(lambda value: least <= value <= most, f"{least} to {most} {unit}".rstrip(), advice)


def at_least(least: int, unit: str, *, advice: str) -> Check:
    """A check of a number with a lower limit, which is allowed itself."""
    return limits(lambda value: value >= least, f"at least {least} {unit}", advice)


def noise_level(names: Sequence[str], integers: Collection[int]) -> Check:
    """A check that gives a noise level's name, or the integer, which each model has a level for."""

    def check(name: str, value: str | int) -> str | int:
        text = str(value)
        if text in names:
            return text
        with suppress(ValueError):
            if int(text) in integers:
                return int(text)
        raise ArgumentError(
            f"{name} must be {', '.join(names)} or {min(integers)} to {max(integers)}, got {text}; "
            "-1 is no-denoise, and 0 is conservative, as in vs-mlrt, or waifu2x's denoise0x"
        )

    return check


def tile_size(smallest_px: int) -> Check:
    """A check that gives (width, height) for one or two sizes in px; 0 is the whole axis."""

    def check(name: str, value: int | Sequence[int]) -> tuple[int, int]:
        sizes = (value,) if isinstance(value, int) else tuple(value)
        if len(sizes) not in (1, 2):
            raise ArgumentError(f"{name} must be one or two numbers, got {len(sizes)}; use {name}=[width, height]")
        for size in sizes:
            if size and size < smallest_px:
                raise ArgumentError(
                    f"{name} must be 0 or at least {smallest_px} px, got {size}; "
                    f"use 0 for the whole frame, or leave {name} out to have it chosen"
                )
        return (sizes[0], sizes[-1])

    return check


def device_names(kinds: Mapping[str, bool], most: int) -> Check:
    """A check that gives one name for each engine; ``kinds``: whether one of several devices can be named."""

    def check(name: str, value: str | Sequence[str]) -> tuple[str, ...]:
        devices = (value,) if isinstance(value, str) else tuple(value)
        if not devices or len(devices) > most:
            raise ArgumentError(
                f"{name} must be 1 to {most} devices, got {len(devices)}; leave it out to have one chosen"
            )
        for each in devices:
            kind, _, index = each.partition(":")
            if kind not in kinds or (":" in each and not (kinds[kind] and re.fullmatch("[0-9]{1,4}", index))):
                raise ArgumentError(
                    f"{name} must be auto, cpu, mps, gpu, gpu:N, cuda, cuda:N, xpu or xpu:N, got {each}; "
                    "use auto to have it chosen"
                )
        return devices

    return check
