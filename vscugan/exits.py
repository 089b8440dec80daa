"""How processes end, as text for messages."""

from __future__ import annotations

import signal

#: exit code of an internal error, as sysexits.h numbers it; each class of errors has its own
UNEXPECTED = 70
#: exit codes after signals that end a process in order, as shells count them: 128 and the signal's number
INTERRUPTED = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
#: the usual cause of a signal that ended a process, by the signal's name
CAUSES = {
    "SIGABRT": "a native library gave up",
    "SIGBUS": "a file was cut off or could not be read while it was in use, or memory was short",
    "SIGFPE": "a native library divided by zero",
    "SIGHUP": "its terminal was closed",
    "SIGILL": "a library uses instructions that this CPU does not have",
    "SIGINT": "Ctrl-C",
    "SIGKILL": "something ended it from outside, most often because memory was short",
    "SIGSEGV": "a native library crashed, most often because two of them do not fit each other",
    "SIGTERM": "something asked it to end",
}


def signal_name(returncode: int) -> str:
    """The signal that ended a child process, from its ``returncode``, which is negative then."""
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"


def describe_exit(returncode: int) -> str:
    """How a child process ended, from its ``returncode``."""
    if returncode >= 0:
        return f"exit code {returncode}"
    name = signal_name(returncode)
    return f"{name} ({CAUSES[name]})" if name in CAUSES else name


def ending(returncode: int) -> str:
    """The end of a child process as a noun, from its ``returncode``."""
    return f"its end by {signal_name(returncode)}" if returncode < 0 else f"its end with exit code {returncode}"
