"""How every command ends: one line on stderr and an exit code, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, TextIO

from vscugan.clip.wording import first_line
from vscugan.encode.job.json_types import printable
from vscugan.errors import ArgumentError, CuganError, DiskError, FrameError
from vscugan.exits import INTERRUPTED, UNEXPECTED
from vscugan.install import how_to_install

#: signals that come one upon the other are one: timeout and terminals send several
TOGETHER_S = 1.0


class Ended(KeyboardInterrupt):
    """A signal that ends the command, by its name; whatever tidies up after Ctrl-C tidies up after these."""


class _Signals:
    """What has been received; a native library that calls us may swallow the exception."""

    def __init__(self) -> None:
        self.last: Ended | None = None
        self.is_tidying = False
        self._last_s = -TOGETHER_S

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Raise Ended for a signal, in the main thread."""
        now = time.monotonic()
        if self.is_tidying or now - self._last_s < TOGETHER_S:
            return
        self._last_s, self.last = now, Ended(signal.Signals(number).name)
        raise self.last


_signals = _Signals()


def raise_swallowed() -> None:
    """Raise the interruption that became another error on its way through a native library."""
    if _signals.last is not None:
        raise _signals.last


class Output:
    """A stream of text that goes on into nothing when it can't be written: its reader is gone, or the disk is full."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As a stream's."""
        try:
            return self._stream.write(text)
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        """As a stream's."""
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def prepare_process() -> None:
    """Open what the shell has closed, let nothing fail for want of a reader, and let signals end commands in order."""
    for descriptor, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # closed, as by >&-; the next file that is opened would take its place
            mode = os.O_RDONLY if descriptor == 0 else os.O_WRONLY
            opened = os.open(os.devnull, mode)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            stream = open(descriptor, "r" if descriptor == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    sys.stdout, sys.stderr = Output(sys.stdout), Output(sys.stderr)
    for name in INTERRUPTED:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, _signals.receive)


def leave(code: int) -> NoReturn:
    """End the process; after an interruption at once, whatever frames are still being computed."""
    _signals.is_tidying = True
    if code in INTERRUPTED.values():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def say(command: str, text: str) -> None:
    """One line on stderr."""
    print(f"{f'vscugan {command}'.rstrip()}: {printable(text)}", file=sys.stderr, flush=True)


def interruption(error: KeyboardInterrupt) -> tuple[str, int]:
    """What ended a command, for people, and its exit code."""
    _signals.is_tidying = True
    name = str(error) if isinstance(error, Ended) else "SIGINT"
    return ("interrupted" if name == "SIGINT" else f"ended by {name}"), INTERRUPTED[name]


def _explained(error: Exception) -> tuple[str, int]:
    """What to say of an error, and its exit code."""
    if isinstance(error, CuganError):
        return str(error), error.exit_code
    if isinstance(error, ImportError) and not (error.name or "").startswith("vscugan"):
        # packages of the extra are imported where they are needed
        missing = error.name or "a package"
        return f"{missing} must be installed, got none; {how_to_install('encode')}", ArgumentError.exit_code
    if isinstance(error, OSError):
        return f"files must be usable, got {error}; mend it, then run this again", DiskError.exit_code
    if (type(error).__module__, type(error).__name__) == ("vapoursynth", "Error"):
        return first_line(error), FrameError.exit_code
    traceback.print_exception(error)
    return f"internal error, please report it: {type(error).__name__}: {error}", UNEXPECTED


def guarded(command: str, function: Callable[[], int], *, as_json: bool = False) -> int:
    """Run a command; errors become one line on stderr and the exit code of their kind.

    With ``as_json`` the line is an event on stdout too.
    """
    try:
        try:
            return function()
        except Exception:
            raise_swallowed()
            raise
    except KeyboardInterrupt as error:
        event = "interrupted"
        text, code = interruption(error)
    except Exception as error:
        event = "error"
        text, code = _explained(error)
    if as_json:
        told = {"event": event} | ({"message": text} if event == "error" else {}) | {"code": code}
        print(json.dumps(told, ensure_ascii=False), flush=True)
    say(command, text)
    return code
