"""The processes that a worker has started, so that a stop can end every one of them."""

from __future__ import annotations

import subprocess
import threading


class Children:
    """Running child processes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    def add(self, process: subprocess.Popen[bytes]) -> None:
        """Take a process in."""
        with self._lock:
            self._running = {p for p in self._running if p.poll() is None} | {process}

    def kill(self) -> None:
        """End all of them and wait until they are gone."""
        with self._lock:
            for process in self._running:
                if process.poll() is None:
                    process.kill()
            for process in self._running:
                process.wait()
