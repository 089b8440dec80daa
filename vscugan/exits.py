"""How processes end, as text for messages."""

from __future__ import annotations

import signal
from collections.abc import Mapping

#: exit code of an internal error, as sysexits.h numbers it; each class of errors has its own
UNEXPECTED = 70
#: exit codes after signals that end a process in order, as shells count them: 128 and the signal's number
INTERRUPTED = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
#: what each exit code means, for the help and docs/reference/command-line.md
EXIT_CODES: Mapping[int, str] = {
    0: "done",
    1: "a difference or a fault was found, or a frame could not be computed",
    2: "an argument is wrong, or a package or weight file is missing",
    3: "the source can't be read, or is of a kind that is refused",
    4: "refused: the output exists, something can't be kept, or a run before differs",
    5: "another run works on this output",
    6: "the encoder is missing or failed",
    7: "the disk is full or not writable",
    8: "the finished file is not what it must be; its chunks are kept",
    9: "the worker was killed; run the same command again",
    UNEXPECTED: "internal error; report it with what was printed, and with the log if there is one",
    INTERRUPTED["SIGHUP"]: "SIGHUP, the terminal was closed",
    INTERRUPTED["SIGINT"]: "Ctrl-C",
    INTERRUPTED["SIGTERM"]: "SIGTERM",
}
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

#: the same of the exit codes by which Windows says that a process crashed (NTSTATUS)
WINDOWS_CAUSES = {
    0xC0000005: CAUSES["SIGSEGV"],
    0xC0000006: CAUSES["SIGBUS"],
    0xC000001D: CAUSES["SIGILL"],
    0xC0000094: CAUSES["SIGFPE"],
    0xC0000135: "a DLL that it needs is missing",
    0xC000013A: CAUSES["SIGINT"],
    0xC0000409: CAUSES["SIGABRT"],
}


def signal_name(returncode: int) -> str:
    """The signal that ended a child process, from its ``returncode``, which is negative then."""
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"


def describe_exit(returncode: int) -> str:
    """How a child process ended, from its ``returncode``."""
    if returncode in WINDOWS_CAUSES:
        return f"exit code 0x{returncode:08X} ({WINDOWS_CAUSES[returncode]})"
    if returncode >= 0:
        return f"exit code {returncode}"
    name = signal_name(returncode)
    return f"{name} ({CAUSES[name]})" if name in CAUSES else name


def ending(returncode: int) -> str:
    """The end of a child process as a noun, from its ``returncode``."""
    return f"its end by {signal_name(returncode)}" if returncode < 0 else f"its end with exit code {returncode}"
