"""A program of the user's that runs when a command is done, without a shell."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess

from vscugan.cli.guard import print_error
from vscugan.errors import ArgumentError

CODE = "{code}"


class Afterwards:
    """A program with its arguments, as one text; ``{code}`` in it is the exit code.

    Raises: ArgumentError where there is no such program: now, and not after a night's work.
    """

    def __init__(self, text: str) -> None:
        try:
            self._words = shlex.split(text, posix=os.name == "posix")
        except ValueError as error:
            raise ArgumentError(f"on-done must be a program and its arguments, got {error}; quote them") from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise ArgumentError(f"on-done must begin with a program on PATH, got {text!r}; check its name")

    def run(self, code: int) -> None:
        """Run it to its end; a failure is reported, and changes nothing."""
        try:
            ended = subprocess.run([word.replace(CODE, str(code)) for word in self._words], check=False).returncode
        except OSError as error:
            print_error("encode", f"on-done must run, got {error.strerror} from {self._words[0]}")
            return
        if ended:
            print_error("encode", f"on-done must end with 0, got {ended} from {self._words[0]}")
