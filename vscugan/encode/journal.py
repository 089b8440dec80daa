"""The journal of a run: one JSON line for each thing that is finished and durable, never changed afterwards."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from vscugan.files import disk_error, sync_folder

Entry = dict[str, Any]


class Journal:
    """An append-only file of JSON lines; a line counts when its line feed is there.

    A crash in the middle of a line leaves a torn one at the end, which is cut off at the next start.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        is_new = not path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        self.torn = len(whole) < len(content)
        self.entries: list[Entry] = [json.loads(line) for line in whole.splitlines()]
        if self.torn:
            os.ftruncate(self._descriptor, len(whole))
            os.fsync(self._descriptor)
        self._bytes = len(whole)
        if is_new:
            sync_folder(path.parent)

    def append(self, entry: Entry) -> None:
        """Write one line, durably.

        Raises: DiskError; the file is then as it was before.
        """
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                os.lseek(self._descriptor, self._bytes, os.SEEK_SET)
                written = 0
                while written < len(line):
                    written += os.write(self._descriptor, line[written:])
                os.fsync(self._descriptor)
            except OSError as error:
                os.ftruncate(self._descriptor, self._bytes)
                raise disk_error(self.path, error) from error
            self._bytes += len(line)
            self.entries.append(entry)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def of_kind(self, kind: str) -> list[Entry]:
        """The entries of one kind, in order."""
        with self._lock:
            return [entry for entry in self.entries if entry["kind"] == kind]
