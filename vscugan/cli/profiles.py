"""Profiles: named sets of options for ``vscugan encode``, shipped ones and the user's own."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from argparse import _AppendAction
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vscugan.cli.parser import Parser, split_arguments, suggestion
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.errors import ArgumentError

CONFIG_NAME = "vscugan.toml"
SHIPPED = Path(__file__).with_name("profiles.toml")
#: keys of a profile that are no options: what it is for, and what goes to the encoder
ABOUT, ENCODER_ARGUMENTS = "about", "encoder-arguments"
#: options that are of one call, and not of a way to encode
OF_A_CALL = ("help", "output", "profile", "config", "resume", "restart", "overwrite", "dry-run", "json")
#: options that say nothing of the result
NOT_DESCRIBED = ("log", "on-done", "jobs", "cluster", "ship")
#: options whose value is a path; a relative one begins at the profile's file
PATHS = ("script", "weights", "log")
#: options that go away where another one is given
REPLACED_BY = {"scale": {"width", "height"}, "width": {"scale"}, "height": {"scale"}, "noise": {"strength"},
               "strength": {"noise"}}  # fmt: skip


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

    def overridden(self, given: Mapping[str, Any]) -> set[str]:
        """Those of its options that the command line replaces; ``given``: the options there, by name."""
        names = {name for name in self.options if name in given or REPLACED_BY.get(name, set()) & given.keys()}
        if "encoder" in given and given["encoder"] != self.options.get("encoder", EncodeJob.encoder):
            names |= self.options.keys() & {ENCODER_ARGUMENTS}  # which are those of another encoder
        return names

    def described(self, overridden: Collection[str]) -> dict[str, Any]:
        """For the certificate: name, file and options, and of these those that the command line replaces."""
        options = {name: value for name, value in self.options.items() if name not in NOT_DESCRIBED}
        names = sorted(options.keys() & set(overridden))
        file = "shipped" if self.file == SHIPPED else self.file.name
        return {"name": self.name, "file": file, "options": options, "overridden": names}

    def encoder_arguments(self) -> list[str] | None:
        """What goes to the encoder, None where it says nothing of it.

        Raises: ArgumentError.
        """
        given = self.options.get(ENCODER_ARGUMENTS)
        if given is None:
            return None
        try:
            argv = split_arguments(given) if isinstance(given, str) else given
        except ValueError:
            raise self._error(ENCODER_ARGUMENTS, "have pairs of quotes", given) from None
        if not isinstance(argv, list) or not all(isinstance(argument, str) for argument in argv):
            raise self._error(ENCODER_ARGUMENTS, "be text, or a list of it", given)
        return argv

    def arguments(self, parser: Parser, overridden: Collection[str] = ()) -> list[str]:
        """The options as they would stand on the command line, without those that it replaces.

        Values by name, such as those of ``arg``, stay: the command line replaces them one by one.
        Raises: ArgumentError for a name that is no option.
        """
        argv: list[str] = []
        for name, value in self.options.items():
            if name == ABOUT and not isinstance(value, str):
                raise self._error(name, "be text", value)
            if name not in (ABOUT, ENCODER_ARGUMENTS):
                own = list(self._argv(parser, name, value))
                is_by_name = isinstance(parser.option_actions[f"--{name}"], _AppendAction)
                argv += own if is_by_name or name not in overridden else []
        return argv

    def _argv(self, parser: Parser, name: str, value: Any) -> Iterator[str]:
        """One option as it would stand on the command line."""
        options = parser.option_actions
        action = options.get(f"--{name}")
        if action is None or name in OF_A_CALL:
            names = [option[2:] for option in options if option.startswith("--") and option[2:] not in OF_A_CALL]
            hint = suggestion(name, [*names, ENCODER_ARGUMENTS, ABOUT]) or "see vscugan help encode"
            raise ArgumentError(f"profile {self.name} in {self.file.name} must hold options, got {name}; {hint}")
        is_by_name = isinstance(action, _AppendAction)
        if action.nargs == 0:
            if not isinstance(value, bool):
                raise self._error(name, "be true or false", value)
            yield from [f"--{name}"] if value else []
            return
        values = list(value.values()) if isinstance(value, dict) and is_by_name else value
        values = values if isinstance(values, list) else [values]
        if not all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in values):
            raise self._error(name, "be text or a number", value)
        if is_by_name:
            pairs = [f"{key}={each}" for key, each in value.items()] if isinstance(value, dict) else values
            yield from (f"--{name}={pair}" for pair in pairs)
        elif name in PATHS:
            yield f"--{name}={self.file.absolute().parent / str(value)}"
        else:
            yield f"--{name}={','.join(map(str, values))}"

    def _error(self, name: str, allowed: str, value: object) -> ArgumentError:
        return ArgumentError(
            f"{name} of profile {self.name} in {self.file.name} must {allowed}, got {toml_text(value)}; correct it "
            "in that file"
        )


def toml_text(value: Any, *, is_key: bool = False) -> str:
    """A value as TOML has it."""
    if is_key and re.fullmatch("[A-Za-z0-9_-]+", value):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{toml_text(name, is_key=True)} = {toml_text(each)}' for name, each in value.items())}}}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else str(value)


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
    own = config_file() if config is None else Path(config)
    files = [SHIPPED, *([own] if config is not None or own.exists() else [])]
    return {profile.name: profile for file in files for profile in _profiles_of(file)}


def _profiles_of(file: Path) -> Iterator[Profile]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ArgumentError(f"config must be readable, got {error.strerror}: {file.name!r}; check its name") from None
    except RecursionError:
        raise ArgumentError(f"config must be TOML, got too many brackets in {file.name!r}; correct it") from None
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
