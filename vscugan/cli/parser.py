"""argparse whose errors are one line, worded as our other messages, with a suggestion where a name is misspelt."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from vscugan.errors import ArgumentError

#: what the functions that parse a value accept, by their names
ACCEPTED = {"int": "a whole number", "float": "a number", "number": "a number", "tile": "one or two whole numbers",
            "whole_numbers": "whole numbers with commas between them"}  # fmt: skip
#: difflib's ratio from which a name counts as misspelt; higher where it may be another program's option
SIMILAR, VERY_SIMILAR = 0.75, 0.85
#: what takes away the meaning of the next character in a text of several arguments; in Windows' paths it means nothing
ESCAPES = "" if sys.platform == "win32" else "\\"
_EXPECTED = re.compile(r"argument (\S+): expected (.+)")
_REQUIRED = "the following arguments are required: "


def suggestion(name: str, names: Iterable[str], ratio: float = SIMILAR) -> str:
    """The name that was probably meant, as a question; empty where none is similar."""
    similar = difflib.get_close_matches(name, list(names), 1, ratio)
    return f"did you mean {similar[0]}?" if similar else ""


def split_arguments(text: str) -> list[str]:
    """The arguments in a text, as a shell would split it.

    Raises: ValueError for quotes that are not closed.
    """
    arguments = shlex.shlex(text, posix=True)
    arguments.whitespace_split, arguments.commenters, arguments.escape = True, "", ESCAPES
    return list(arguments)


class Parser(argparse.ArgumentParser):
    """Raises ArgumentError where argparse would print its usage and exit.

    ``rest_hint``: the hint for an unknown option that may be meant for another program; ``{}`` stands for the option
    with its value.
    """

    rest_hint = ""

    def error(self, message: str) -> NoReturn:
        """Raise ArgumentError with argparse's message."""
        if found := _EXPECTED.fullmatch(message):
            message = f"{found[1]} must have {found[2].replace('expected ', '')}, got none"
        elif message.startswith(_REQUIRED):
            message = f"{message.removeprefix(_REQUIRED)} must be given, got none"
        raise ArgumentError(f"{message.removeprefix('argument ')}; {self._help_hint}")

    @property
    def option_actions(self) -> Mapping[str, argparse.Action]:
        """What each option does, by its name with the dashes."""
        return self._option_string_actions

    @property
    def _help_hint(self) -> str:
        return f"run {self.prog} --help to see all options"

    def parse(self, argv: Sequence[str], path_options: Sequence[str] = ()) -> argparse.Namespace:
        """Parse the arguments; ``path_options`` are the options whose value is a path, whatever it begins with.

        Raises: ArgumentError.
        """
        argv = _mark_paths(argv, path_options)
        self._refuse_unknown(argv)
        arguments, rest = self.parse_known_args(argv)
        if rest:
            raise ArgumentError(f"arguments must be options and their values, got {' '.join(rest)}; {self._help_hint}")
        return arguments

    def given(self, argv: Sequence[str], path_options: Sequence[str] = ()) -> set[str]:
        """The options that stand in arguments, by their long names without the dashes, also where they say the default.

        The arguments are such as ``parse`` takes.
        """
        absent = object()
        actions = {name[2:]: action for name, action in self.option_actions.items() if name.startswith("--")}
        single = [action.dest for action in actions.values() if not isinstance(action, argparse._AppendAction)]
        start = argparse.Namespace(**dict.fromkeys(single, absent))
        found, _ = self.parse_known_args(_mark_paths(argv, path_options), start)
        return {name for name, action in actions.items() if getattr(found, action.dest, absent) is not absent}

    def _refuse_unknown(self, argv: Sequence[str]) -> None:
        """Refuse options that do not exist, before argparse takes their values for files."""
        options = self._option_string_actions
        is_value = False
        for i, argument in enumerate(argv):
            name = argument.partition("=")[0]
            if argument == "--":
                return
            if is_value or not re.match(r"--?[^\W\d]", argument):
                is_value = False
            elif name in options:
                is_value = "=" not in argument and options[name].nargs != 0
            elif found := [option for option in options if option.startswith(name)]:  # argparse takes abbreviations
                if len(found) > 1:
                    raise ArgumentError(
                        f"option must be written in full, got {name}; write {', '.join(found[:-1])} or {found[-1]}"
                    )
                is_value = "=" not in argument and options[found[0]].nargs != 0
            elif argument.startswith("--") or argument[:2] not in options:  # else a short option with its value
                after = argv[i + 1 : i + 2]
                value = after if "=" not in argument and after and not after[0].startswith("-") else []
                similar = suggestion(name, options, VERY_SIMILAR if self.rest_hint else SIMILAR)
                hint = " ".join(filter(None, (similar, self.rest_hint.format(" ".join([argument, *value])))))
                raise ArgumentError(f"option must be known to {self.prog}, got {name}; {hint or self._help_hint}")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            allowed = ACCEPTED.get(getattr(action.type, "__name__", ""), "of another kind")
            self._refuse(action, allowed, arg_string)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = list(map(str, action.choices or ()))
        if choices and str(value) not in choices:
            self._refuse(action, f"{', '.join(choices[:-1])} or {choices[-1]}", value)

    def _refuse(self, action: argparse.Action, allowed: str, value: object) -> NoReturn:
        raise ArgumentError(f"{action.dest.replace('_', '-')} must be {allowed}, got {value}; {self._help_hint}")


def _mark_paths(argv: Sequence[str], path_options: Sequence[str]) -> list[str]:
    """The arguments with ``./`` before files whose names begin with ``-``, which would be parsed as options."""
    marked: list[str] = []
    for argument in argv:
        is_path = bool(marked) and marked[-1] in path_options
        if argument.startswith("-") and (is_path or os.path.lexists(argument)):
            argument = f"./{argument}"
        marked.append(argument)
    return marked
