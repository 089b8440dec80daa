"""Values read from JSON against the types that they must have."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any

#: JSON's whole numbers may be longer than a float, or than what can be written down
MOST = 1 << 63


def printable(value: object) -> str:
    """A value in a message, which may have come from anywhere: what is not printable could write on a terminal."""
    try:
        text = str(value)
    except (ValueError, RecursionError):  # a number of too many digits; too many lists in each other
        text = f"a {type(value).__name__}"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def fits(value: object, hint: Any) -> bool:
    """Whether a value read from JSON is of a type: a list may be a sequence, and an integer a float."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, UnionType):
        return any(fits(value, each) for each in inner)
    if origin in (list, Sequence):
        return isinstance(value, list) and all(fits(each, inner[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(each, inner[1]) for each in value.values())
    if isinstance(value, bool):
        return hint is bool
    if isinstance(value, int) and abs(value) >= MOST:
        return False
    return isinstance(value, int | float if hint is float else hint)


def misfit(values: Mapping[str, Any], hints: Mapping[str, Any]) -> str | None:
    """The first name whose value is left out or of another type, for people; None where there is none.

    In place of a type may stand what an object must hold.
    """
    for name, hint in hints.items():
        if name not in values:
            return f"no {name}"
        is_object = isinstance(hint, dict)
        if not fits(values[name], dict[str, Any] if is_object else hint):
            return f"{name} of another type"
        if is_object and (fault := misfit(values[name], hint)):
            return f"{name}: {fault}"
    return None
