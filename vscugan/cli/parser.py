"""argparse with errors of one line, in the words of the other messages, and with near misses suggested."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from vscugan.errors import ArgumentError

#: what the functions that read a value take, by their names
KINDS = {"int": "a whole number", "float": "a number", "number": "a number", "tile": "one or two whole numbers"}
#: of difflib's likeness, from which a word is thought to be a misspelt one; higher where it may be of another program
NEAR, VERY_NEAR = 0.75, 0.85
_EXPECTED = re.compile(r"argument (\S+): expected (.+)")
_REQUIRED = "the following arguments are required: "


def suggestion(word: str, known: Iterable[str], least: float = NEAR) -> str:
    """The known word that was probably meant, as a question; empty where none is near."""
    near = difflib.get_close_matches(word, list(known), 1, least)
    return f"did you mean {near[0]}?" if near else ""


class Parser(argparse.ArgumentParser):
    """Raises ArgumentError where argparse would print its usage and exit.

    ``rest_hint``: what to say of an option that is not known, which may be meant for another program; ``{}`` stands
    for the option with its value.
    """

    rest_hint = ""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found, without its usage."""
        if found := _EXPECTED.fullmatch(message):
            message = f"{found[1]} must have {found[2].replace('expected ', '')}, got none"
        elif message.startswith(_REQUIRED):
            message = f"{message.removeprefix(_REQUIRED)} must be given, got none"
        raise ArgumentError(f"{message.removeprefix('argument ')}; {self._help_hint}")

    @property
    def _help_hint(self) -> str:
        return f"run {self.prog} --help to see all options"

    def parse(self, words: Sequence[str], valued: Sequence[str] = ()) -> argparse.Namespace:
        """The arguments in the words; ``valued`` are the options whose next word is a path, whatever it begins with.

        Raises: ArgumentError.
        """
        words = named_files(words, valued)
        self._refuse_unknown(words)
        arguments, rest = self.parse_known_args(words)
        if rest:
            raise ArgumentError(f"arguments must be options and their values, got {' '.join(rest)}; {self._help_hint}")
        return arguments

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        """Refuse options that do not exist, before argparse takes their values for files."""
        known = self._option_string_actions
        is_value = False
        for place, word in enumerate(words):
            name = word.partition("=")[0]
            if word == "--":
                return
            if is_value or not re.match(r"--?[^\W\d]", word):
                is_value = False
            elif name in known:
                is_value = "=" not in word and known[name].nargs != 0
            elif found := [option for option in known if option.startswith(name)]:  # argparse takes abbreviations
                if len(found) > 1:
                    raise ArgumentError(
                        f"option must be written in full, got {name}; write {', '.join(found[:-1])} or {found[-1]}"
                    )
                is_value = "=" not in word and known[found[0]].nargs != 0
            elif word.startswith("--") or word[:2] not in known:  # else a short option with its value
                after = words[place + 1 : place + 2]
                value = after if "=" not in word and after and not after[0].startswith("-") else []
                near = suggestion(name, known, VERY_NEAR if self.rest_hint else NEAR)
                hint = " ".join(filter(None, (near, self.rest_hint.format(" ".join([word, *value])))))
                raise ArgumentError(f"option must be known to {self.prog}, got {name}; {hint or self._help_hint}")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            allowed = KINDS.get(getattr(action.type, "__name__", ""), "of another kind")
            self._refuse(action, allowed, arg_string)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = list(map(str, action.choices or ()))
        if choices and str(value) not in choices:
            self._refuse(action, f"{', '.join(choices[:-1])} or {choices[-1]}", value)

    def _refuse(self, action: argparse.Action, allowed: str, value: object) -> NoReturn:
        raise ArgumentError(f"{action.dest.replace('_', '-')} must be {allowed}, got {value}; {self._help_hint}")


def named_files(words: Sequence[str], valued: Sequence[str]) -> list[str]:
    """The words with ``./`` before files whose names begin with ``-``, which would be read as options.

    ``valued`` are the options whose next word is a path, whatever it begins with.
    """
    made: list[str] = []
    for word in words:
        is_value = bool(made) and made[-1] in valued
        if word.startswith("-") and (is_value or os.path.lexists(word)):
            word = f"./{word}"
        made.append(word)
    return made
