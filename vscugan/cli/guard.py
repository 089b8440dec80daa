"""How every command ends: with an exit code, and after an error with one line on stderr."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from io import TextIOWrapper
from types import FrameType
from typing import Any, NoReturn, TextIO

from vscugan.clip.error_text import first_line
from vscugan.encode.job.json_types import printable
from vscugan.errors import ArgumentError, CuganError, DiskError, FrameError
from vscugan.exits import INTERRUPTED, UNEXPECTED
from vscugan.install import how_to_install_module

#: a signal that follows another one within this time is the same one: timeout and terminals send several
SAME_SIGNAL_S = 1.0


class Ended(KeyboardInterrupt):
    """A signal that ends the command, by its name; whatever cleans up after Ctrl-C cleans up after these too."""


class _Signals:
    """The last signal received, because a native library that calls us may swallow the exception."""

    def __init__(self) -> None:
        self.last: Ended | None = None
        self.is_cleaning_up = False
        self._last_s = -SAME_SIGNAL_S

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Raise Ended for a signal, in the main thread."""
        now = time.monotonic()
        if self.is_cleaning_up or now - self._last_s < SAME_SIGNAL_S:
            return
        self._last_s, self.last = now, Ended(signal.Signals(number).name)
        raise self.last


_signals = _Signals()


def raise_swallowed() -> None:
    """Raise the interruption again that became another error on its way through a native library."""
    if _signals.last is not None:
        raise _signals.last


class Output:
    """A text stream that discards what it can't write, because its reader is gone or the disk is full."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """See ``TextIO``."""
        try:
            return self._stream.write(text)
        except OSError:
            self._discard_from_now_on()
            return len(text)

    def flush(self) -> None:
        """See ``TextIO``."""
        try:
            self._stream.flush()
        except OSError:
            self._discard_from_now_on()

    def _discard_from_now_on(self) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)


def prepare_process() -> None:
    """Open the standard streams that the shell has closed, let no write to them fail, and let signals end commands."""
    for descriptor, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # closed, as by >&-; the next file that is opened would take its place
            mode = os.O_RDONLY if descriptor == 0 else os.O_WRONLY
            opened = os.open(os.devnull, mode)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            stream = open(descriptor, "r" if descriptor == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        # into files and pipes Python on Windows writes an old code page, which has not all characters of names
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = Output(sys.stdout), Output(sys.stderr)
    for name in INTERRUPTED:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, _signals.receive)


def leave(code: int) -> NoReturn:
    """End the process; after an interruption at once, whatever frames are still being computed."""
    _signals.is_cleaning_up = True
    if code in INTERRUPTED.values():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def print_error(command: str, text: str) -> None:
    """Print one line on stderr, after the command's name."""
    print(f"{f'vscugan {command}'.rstrip()}: {printable(text)}", file=sys.stderr, flush=True)


def interruption(error: KeyboardInterrupt) -> tuple[str, int]:
    """The message about what ended a command, and its exit code."""
    _signals.is_cleaning_up = True
    name = str(error) if isinstance(error, Ended) else "SIGINT"
    return ("interrupted" if name == "SIGINT" else f"ended by {name}"), INTERRUPTED[name]


def _message_of(error: Exception) -> tuple[str, int]:
    """The message about an error, and its exit code."""
    if isinstance(error, CuganError):
        return str(error), error.exit_code
    if isinstance(error, ImportError) and not (error.name or "").startswith("vscugan"):
        missing = error.name or "a package"
        return f"{missing} must be installed, got none; {how_to_install_module(missing)}", ArgumentError.exit_code
    if isinstance(error, OSError):
        return f"files must be usable, got {error}; correct this, then run the same command again", DiskError.exit_code
    if (type(error).__module__, type(error).__name__) == ("vapoursynth", "Error"):
        return first_line(error), FrameError.exit_code
    traceback.print_exception(error)
    return f"internal error, please report it: {type(error).__name__}: {error}", UNEXPECTED


def guarded(command: str, function: Callable[[], int], *, as_json: bool = False) -> int:
    """Run a command; an error becomes one line on stderr and the exit code of its class.

    With ``as_json`` it is an event on stdout too.
    """
    try:
        try:
            return function()
        except Exception:
            raise_swallowed()
            raise
    except KeyboardInterrupt as error:
        text, code = interruption(error)
        event: dict[str, Any] = {"event": "interrupted", "code": code}
    except Exception as error:
        text, code = _message_of(error)
        event = {"event": "error", "message": text, "code": code}
    if as_json:
        print(json.dumps(event), flush=True)
    print_error(command, text)
    return code
