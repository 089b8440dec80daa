"""How processes end, in words."""

from __future__ import annotations

import signal

#: what usually stands behind the signal that ended a process, by its name
MEANINGS = {
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


def describe_exit(returncode: int) -> str:
    """The end of a child process, by what ``subprocess`` returns: negative for a signal."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
    return f"{name} ({MEANINGS[name]})" if name in MEANINGS else name
