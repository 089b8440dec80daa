"""What one row says of an option of Upscale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vscugan.option_values import Check, check_choice, device, tile

#: VapourSynth's types of arguments, but for clips: what Python hands over for them, and how the command line reads that
TYPES: dict[str, tuple[Any, Callable[[str], Any]]] = {
    "float": (float, float),
    "int": (int, int),
    "data": (str, str),
    "int[]": (int | Sequence[int], tile),
    "data[]": (str | Sequence[str], device),
}


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of Upscale.

    ``position``: in the plugin's signature. Scripts may leave the names out, so it never changes; a new option is the
    last one. ``type``: VapourSynth's, with ``[]`` where several values may be given. ``python``: what the typed twin
    takes, where ``type`` does not say it. ``choices``: the names that can be chosen, or what looks them up whenever
    they are needed, since models and runtimes are rows of their own. ``check``: where it is left out, the value must
    be one of ``choices``, or is not checked. ``help``: one line for the command line, which names choices and the
    default itself. ``on_command_line``: whether it takes the option; ``read``: how it reads one where ``type`` does
    not say it. ``of_clips``: whether it makes no sense for a single picture. ``same_picture``: whether it changes time
    and memory, but not the picture.
    """

    position: int
    type: str
    python: Any = None
    choices: Sequence[str] | Callable[[], Sequence[str]] = ()
    check: Check | None = None
    help: str = ""
    read: Callable[[str], Any] | None = None
    on_command_line: bool = True
    of_clips: bool = False
    same_picture: bool = False

    @property
    def twin_type(self) -> Any:
        """What the typed twin takes."""
        return self.python or TYPES[self.type][0]

    @property
    def value_type(self) -> Any:
        """What a value may be before it is checked: of the typed twin, the plugin, or the command line."""
        return self.twin_type | TYPES[self.type][0]

    @property
    def names(self) -> Sequence[str]:
        """The names that can be chosen now, if it is by names."""
        return self.choices() if callable(self.choices) else self.choices

    @property
    def reader(self) -> Callable[[str], Any]:
        """How the command line reads a value."""
        return self.read or TYPES[self.type][1]

    def checked(self, name: str, value: Any) -> Any:
        """A value that was given, in the form that Settings holds.

        Raises: ArgumentError.
        """
        if self.check:
            return self.check(name, value)
        if self.choices:
            check_choice(name, value, self.names)
        return value


def signature(options: Mapping[str, Option], required: str) -> str:
    """The arguments of a VapourSynth function; all may be left out but the ``required`` one."""
    return "".join(f"{name}:{option.type}{'' if name == required else ':opt'};" for name, option in options.items())
