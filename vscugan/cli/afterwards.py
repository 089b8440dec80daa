"""A program of the user's that runs when a command is done, without a shell."""

from __future__ import annotations

import shutil
import subprocess

from vscugan.cli.guard import print_error
from vscugan.cli.parser import split_arguments
from vscugan.errors import ArgumentError

CODE = "{code}"


class Afterwards:
    """A program with its arguments, as one text; ``{code}`` in it is the exit code.

    Raises: ArgumentError where there is no such program: now, and not after a night's work.
    """

    def __init__(self, text: str) -> None:
        try:
            self._arguments = split_arguments(text)
        except ValueError as error:
            raise ArgumentError(f"on-done must be a program and its arguments, got {error}; quote them") from error
        program = shutil.which(self._arguments[0]) if self._arguments else None
        if program is None:
            raise ArgumentError(f"on-done must begin with a program on PATH, got {text!r}; check its name")
        self._arguments[0] = program  # Windows runs a .cmd only by its whole name

    def run(self, code: int) -> None:
        """Run it to its end; a failure is reported, and changes nothing."""
        try:
            arguments = [argument.replace(CODE, str(code)) for argument in self._arguments]
            ended = subprocess.run(arguments, check=False).returncode
        except OSError as error:
            print_error(
                "encode", f"on-done must run, got {error.strerror} from {self._arguments[0]}; check the program"
            )
            return
        if ended:
            print_error("encode", f"on-done must end with 0, got {ended} from {self._arguments[0]}; check what it does")
