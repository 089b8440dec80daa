"""What JSON may hold in place of what it must."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from vscugan.encode.job.json_types import MOST, fits, misfit, printable


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1", int), ("1", float), ("1.5", float), ("true", bool), ('"a"', str), ("null", str | None), ("{}", Any),
        ("[1, 2]", list[int]), ("[1, 2]", Sequence[int]), ("[1, 2.5]", list[float]), ("[]", list[str]),
        ('{"a": "b"}', dict[str, str]), ('["a"]', str | Sequence[str]), ('[[1], []]', list[list[int]]),
        (str(MOST - 1), int), (str(1 - MOST), int),
    ],
)  # fmt: skip
def test_what_fits(text: str, hint: Any) -> None:
    assert fits(json.loads(text), hint)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("true", int), ("true", float), ("1", bool), ("1.0", int), ('"1"', int), ("1", str), ("null", str),
        ("null", int), ("1e999", int), ("NaN", int), (str(MOST), int), (str(-MOST), int), ("1" + "0" * 400, float),
        ("[1, true]", list[int]), ('[1, "2"]', Sequence[int]), ('"ab"', list[str]), ('"ab"', Sequence[str]),
        ("{}", list[str]), ("[]", dict[str, str]), ('{"a": 1}', dict[str, str]), ('{"a": null}', dict[str, str]),
        ("[[1], [null]]", list[list[int]]), ('[["a"]]', list[dict[str, Any]]),
        ("1.5", int | Sequence[int]), ("[1.5]", int | Sequence[int]),
    ],
)  # fmt: skip
def test_what_does_not_fit(text: str, hint: Any) -> None:
    assert not fits(json.loads(text), hint)


def test_the_first_misfit_is_named_with_where_it_is() -> None:
    hints = {"frames": int, "result": {"sha256": str, "inner": {"bytes": int}}}
    right: dict[str, Any] = {"frames": 1, "result": {"sha256": "0", "inner": {"bytes": 2}, "newer": []}, "newer": None}
    assert misfit(right, hints) is None
    assert misfit({}, hints) == "no frames"
    assert misfit({"frames": 1}, hints) == "no result"
    assert misfit(right | {"frames": "1", "result": 1}, hints) == "frames of another type"
    others: list[Any] = [[], None, "sha256", True]
    for other in others:
        assert misfit(right | {"result": other}, hints) == "result of another type"
    assert misfit(right | {"result": {}}, hints) == "result: no sha256"
    assert misfit(right | {"result": {"sha256": "0", "inner": {}}}, hints) == "result: inner: no bytes"


def test_what_is_printed_of_a_value_is_one_line_and_moves_no_cursor() -> None:
    text = printable("\x1b[2J\r\n\t\0\u202e\ud800\x9b1A\u2028ok ünï 日本")
    assert text == r"\x1b[2J\r\n\t\x00\u202e\ud800\x9b1A\u2028ok ünï 日本"
    assert printable({"a": "\n"}) == r"{'a': '\n'}"
    assert printable(10**9999) == "a int"
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert printable(nested) == "a list"
