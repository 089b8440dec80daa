"""Profiles: named sets of options for ``vscugan encode``, shipped ones and the user's own."""

from __future__ import annotations

import os
import shlex
import sys
import tomllib
from argparse import _AppendAction
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vscugan.cli.parser import Parser, suggestion
from vscugan.errors import ArgumentError

CONFIG_NAME = "vscugan.toml"
SHIPPED = Path(__file__).with_name("profiles.toml")
#: keys of a profile that are no options: what it is for, and what goes to the encoder
ABOUT, ENCODER_ARGUMENTS = "about", "encoder-arguments"
#: options that are of one call, and not of a way to encode
OF_A_CALL = ("help", "output", "profile", "config", "resume", "restart", "overwrite", "json")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One profile: its options by their names on the command line."""

    name: str
    file: Path
    options: Mapping[str, Any]

    @property
    def about(self) -> str:
        """What it is for; may be empty."""
        return str(self.options.get(ABOUT, ""))

    @property
    def origin(self) -> str:
        """Where it stands, for people."""
        return "shipped" if self.file == SHIPPED else str(self.file)

    def described(self, given: Iterable[str]) -> dict[str, Any]:
        """For the certificate: name, file and options, and of these those that the command line says otherwise."""
        overridden = sorted(self.options.keys() & set(given))
        return {"name": self.name, "file": self.origin, "options": dict(self.options), "overridden": overridden}

    def encoder_arguments(self) -> list[str] | None:
        """What goes to the encoder, None where it says nothing of it.

        Raises: ArgumentError.
        """
        given = self.options.get(ENCODER_ARGUMENTS)
        if given is None:
            return None
        words = shlex.split(given) if isinstance(given, str) else given
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise self._error(ENCODER_ARGUMENTS, "be text, or a list of it", given)
        return words

    def arguments(self, parser: Parser) -> list[str]:
        """The options as they would stand on the command line.

        Raises: ArgumentError for a name that is no option.
        """
        words: list[str] = []
        for name, value in self.options.items():
            if name not in (ABOUT, ENCODER_ARGUMENTS):
                words += self._words(parser, name, value)
        return words

    def _words(self, parser: Parser, name: str, value: Any) -> Iterator[str]:
        options = parser.option_actions
        action = options.get(f"--{name}")
        if action is None or name in OF_A_CALL:
            names = [option[2:] for option in options if option.startswith("--") and option[2:] not in OF_A_CALL]
            hint = suggestion(name, [*names, ENCODER_ARGUMENTS, ABOUT]) or "see vscugan help encode"
            raise ArgumentError(f"profile {self.name} in {self.file.name} must hold options, got {name}; {hint}")
        if action.nargs == 0:
            if not isinstance(value, bool):
                raise self._error(name, "be true or false", value)
            yield from [f"--{name}"] if value else []
        elif isinstance(value, dict) and isinstance(action, _AppendAction):
            yield from (f"--{name}={key}={each}" for key, each in value.items())
        elif isinstance(value, list):
            yield f"--{name}={','.join(map(str, value))}"
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield f"--{name}={value}"
        else:
            raise self._error(name, "be text or a number", value)

    def _error(self, name: str, allowed: str, value: object) -> ArgumentError:
        return ArgumentError(f"{name} of profile {self.name} in {self.file.name} must {allowed}, got {value!r}")


def config_file() -> Path:
    """Where the user's own profiles are: ``vscugan.toml`` in the platform's folder of settings."""
    if base := os.environ.get("XDG_CONFIG_HOME"):
        return Path(base) / "vscugan" / CONFIG_NAME
    if sys.platform == "win32" and (base := os.environ.get("APPDATA")):
        return Path(base) / "vscugan" / CONFIG_NAME
    home = Path(os.path.expanduser("~"))
    return home / ("Library/Application Support" if sys.platform == "darwin" else ".config") / "vscugan" / CONFIG_NAME


def read_profiles(config: str | None) -> dict[str, Profile]:
    """All profiles by name, the user's in place of shipped ones; ``config``: their file, None for the usual one.

    Raises: ArgumentError.
    """
    own = Path(config) if config else config_file()
    files = [SHIPPED, *([own] if config or own.exists() else [])]
    return {profile.name: profile for file in files for profile in _profiles_of(file)}


def _profiles_of(file: Path) -> Iterator[Profile]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArgumentError(f"config must be readable, got {error.strerror}: {file.name!r}; check its name") from None
    except ValueError as error:
        raise ArgumentError(f"config must be TOML, got {error} in {file.name!r}; correct it") from None
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ArgumentError(
                f"config must hold profiles, got {name} outside of them in {file.name!r}; write it below a line "
                "like [bd]"
            )
        yield Profile(name=name, file=file, options=table)


def find_profile(name: str, config: str | None) -> Profile:
    """A profile by its name.

    Raises: ArgumentError.
    """
    profiles = read_profiles(config)
    if name not in profiles:
        hint = suggestion(name, profiles) or "run vscugan profiles to see them"
        raise ArgumentError(f"profile must be {', '.join(profiles)}, got {name}; {hint}")
    return profiles[name]
