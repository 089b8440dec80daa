"""``--resume``: which options a run takes from the work folder, and what the user must name again.

A work folder may have come with a download, so its job decides on values only. What is run by it, and what may name
a file to be written, is taken from the command line: a script with its arguments, an encoder that is a program of the
user's own, and encoder arguments other than numbers and presets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from vscugan.encode.encoders.encoder_rows import ENCODERS
from vscugan.encode.job.encode_job import PLAN_NAME, EncodeJob, read_job
from vscugan.encode.job.work_folder import check_folder
from vscugan.errors import ConflictError
from vscugan.install import quoted

#: the encoder arguments whose values are names of presets and the like, and no files
NAMED = ("preset", "tune", "profile")
_OPTION = re.compile(r"--?([A-Za-z][\w:-]*)")
_NUMBERS = re.compile(r"[\d.,:+-]+")
_WORD = re.compile(r"[A-Za-z0-9_-]+")


def resumed(job: EncodeJob, given: dict[str, Any]) -> EncodeJob:
    """The job for ``--resume``: what is not ``given`` is as in the run before.

    Raises: ConflictError where there is none, or where the user must name again what it runs.
    """
    check_folder(job.work_folder)
    old = read_job(job.work_folder)
    if old is None:
        raise ConflictError(
            f"work folder must be there to resume, got no {job.work_folder.name}; leave --resume out to begin"
        )
    if missing := [argument for group in _unnamed(old, given) for argument in group]:
        raise ConflictError(
            f"what is run must be named again with --resume, got it from {job.work_folder.name}/{PLAN_NAME} alone; "
            f"where it is yours, add: {' '.join(map(_quoted, missing))}"
        )
    options = {**old.options, **given.pop("options", {})}
    return replace(old, source=job.source, output=job.output, options=options, **given)


def _unnamed(old: EncodeJob, given: dict[str, Any]) -> Iterator[Sequence[str]]:
    """The arguments of the command line that must be given again and were not."""
    if old.script and "script" not in given:
        yield "--script", old.script
    if "script_arguments" not in given:
        for name, value in old.script_arguments.items():
            yield "--arg", f"{name}={value}"
    is_own = old.encoder not in ENCODERS
    if is_own and "encoder" not in given:
        yield "--encoder", old.encoder
    if "encoder_arguments" not in given and (is_own or not are_values(old.encoder_arguments)):
        yield "--", *old.encoder_arguments


def are_values(arguments: Sequence[str]) -> bool:
    """Whether an encoder's arguments are options with numbers and presets alone, and so can name no file."""
    is_named = False
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if found := _OPTION.fullmatch(name):
            is_named = found[1] in NAMED
            if not equals:
                continue
        elif equals:
            return False
        else:
            value = argument
        if not (_NUMBERS.fullmatch(value) or (is_named and _WORD.fullmatch(value))):
            return False
        is_named = False
    return True


def _quoted(argument: str) -> str:
    return quoted(argument) if argument.isprintable() else repr(argument)
