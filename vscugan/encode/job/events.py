"""What the worker reports: one JSON line for each event, which the command line draws or hands on."""

from __future__ import annotations

import json
import os
import threading
from typing import Any, Protocol


class Emit(Protocol):
    """Reports an event by its name, with its fields."""

    def __call__(self, event: str, /, **fields: Any) -> None: ...


class EventPipe:
    """Events into a file descriptor; nobody at the other end is no reason to fail."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def __call__(self, event: str, /, **fields: Any) -> None:
        # in ASCII, since names of files may be no text
        line = json.dumps({"event": event, **fields}, default=str).encode() + b"\n"
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:
                pass
