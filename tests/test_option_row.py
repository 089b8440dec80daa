"""What follows from a row: types, names, how the command line reads it, the check, and the plugin's signature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from vscugan.errors import ArgumentError
from vscugan.option_row import TYPES, Option, signature


def twice(name: str, value: Any) -> Any:
    return value * 2


@pytest.mark.parametrize(
    ("option", "twin", "value"),
    [
        (Option(position=0, type="float"), float, float),
        (Option(position=0, type="int"), int, int),
        (Option(position=0, type="data"), str, str),
        (Option(position=0, type="int[]"), int | Sequence[int], int | Sequence[int]),
        (Option(position=0, type="data[]"), str | Sequence[str], str | Sequence[str]),
        (Option(position=0, type="int", python=bool), bool, bool | int),
        (Option(position=0, type="data", python=str | int), str | int, str | int),
    ],
)
def test_types(option: Option, twin: object, value: object) -> None:
    assert option.twin_type == twin
    assert option.value_type == value


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        ("float", "2", 2.0),
        ("float", "-1e3", -1000.0),
        ("int", "-3", -3),
        ("data", "a,b", "a,b"),
        ("data", "", ""),
        ("int[]", "64", 64),
        ("int[]", "64,0", [64, 0]),
        ("data[]", "cuda:0", "cuda:0"),
        ("data[]", "cuda:0,cpu", ["cuda:0", "cpu"]),
    ],
)
def test_the_command_line_reads_by_the_type(type: str, text: str, value: object) -> None:
    read = Option(position=0, type=type).reader(text)
    assert (read, read.__class__) == (value, value.__class__)
    assert Option(position=0, type=type, read=lambda text: text[::-1]).reader("ab") == "ba"


@pytest.mark.parametrize(("type", "text"), [("float", "2x"), ("int", "2.5"), ("int[]", "64,"), ("int[]", "64 x 64")])
def test_what_is_no_number_is_an_error_of_the_value(type: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"^(could not convert string to float|invalid literal for int)"):
        Option(position=0, type=type).reader(text)


def test_names_are_looked_up_whenever_they_are_needed() -> None:
    """Models and runtimes are rows of their own, and more may come."""
    names = ["a"]
    option = Option(position=0, type="data", choices=lambda: tuple(names))
    assert list(option.names) == ["a"]
    with pytest.raises(ArgumentError) as error:
        option.checked("model", "b")
    assert str(error.value) == "model must be a, got b; use one of these"
    names.append("b")
    assert list(option.names) == ["a", "b"]
    assert option.checked("model", "b") == "b"


def test_the_check_comes_in_place_of_the_choices() -> None:
    assert Option(position=0, type="data", choices=("a",), check=twice).checked("noise", "b") == "bb"
    assert Option(position=0, type="data", choices=("a",)).checked("noise", "a") == "a"
    assert Option(position=0, type="int").checked("format", 77) == 77
    with pytest.raises(ArgumentError) as error:
        Option(position=0, type="data", choices=("a", "b", "c")).checked("noise", ["a"])
    assert str(error.value) == "noise must be a, b or c, got ['a']; use one of these"


def test_all_arguments_may_be_left_out_but_the_required_one() -> None:
    options = {name: Option(position=at, type=type) for at, (name, type) in enumerate(
        [("clip", "vnode"), *((f"a{n}", type) for n, type in enumerate(TYPES))]
    )}  # fmt: skip
    assert signature(options, required="clip") == (
        "clip:vnode;a0:float:opt;a1:int:opt;a2:data:opt;a3:int[]:opt;a4:data[]:opt;"
    )
    assert signature({}, required="clip") == ""


def test_a_row_does_not_change() -> None:
    option = Option(position=0, type="int")
    with pytest.raises(FrozenInstanceError):
        option.position = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        Option(0, "int")  # type: ignore[call-arg]
