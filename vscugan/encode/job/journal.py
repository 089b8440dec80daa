"""The journal of a run: one JSON line for each thing that is finished and durable, never changed afterwards."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

from vscugan.encode.job.json_types import misfit
from vscugan.encode.job.work_folder import open_file
from vscugan.errors import ConflictError
from vscugan.files import disk_error, sync_folder

Entry = dict[str, Any]
#: what is read of the finished file's description
RESULT_FIELDS: dict[str, Any] = {"sha256": str, "bytes": int, "frames": int}
#: what chunks of older versions lack, with the value that stands for it
ADDED_LATER: dict[str, Any] = {"tile": None}
#: what stands in an entry of each kind
KINDS: dict[str, dict[str, Any]] = {
    "begin": {
        "plan": dict[str, Any],
        "facts": {"source": dict[str, Any], "versions": dict[str, str], "made_by": dict[str, str]},
    },
    "chunk": {
        "chunk": int, "start": int, "stop": int, "file": str, "bytes": int, "sha256": str, "codec": str,
        "header_sha256": str, "order": list[int], "frames": list[str], "sketches": list[str],
        "hardware": dict[str, str], "tile": str | None, "seconds": float,
    },
    "whole": {"certificate": {"result": RESULT_FIELDS}},
    "unpublished": {},
}  # fmt: skip
_CHUNK_FILE = re.compile(r"\d{6}(\.[A-Za-z0-9]+)?")


def _fault(entry: object, is_first: bool) -> str | None:
    """For people: what is wrong with an entry; None where nothing is."""
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(kind, str) or kind not in KINDS:
        return "an entry of no known kind"
    if is_first != (kind == "begin"):
        return f"an entry {kind!r} at its beginning" if is_first else "a second beginning"
    if fault := misfit(ADDED_LATER | entry, KINDS[kind]):
        return f"an entry {kind!r} with {fault}"
    if kind != "chunk":
        return None
    frames = entry["stop"] - entry["start"]
    if not _CHUNK_FILE.fullmatch(entry["file"]):
        return f"a chunk in the file {entry['file']!r}"
    counts = {len(entry["order"]), len(entry["frames"]), len(entry["sketches"])}
    if frames < 1 or counts != {frames} or sorted(entry["order"]) != list(range(frames)):
        return f"a chunk of {len(entry['frames'])} frames in place of {entry['start']} to {entry['stop']}"
    return None


class Journal:
    """An append-only file of JSON lines; a line counts when its line feed is there.

    A crash in the middle of a line leaves a torn one at the end, which is cut off at the next start.
    Raises: ConflictError for a journal that vscugan can't have written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        is_new = not path.exists()
        self._descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
        with open(self._descriptor, "rb", closefd=False) as file:
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self.torn = len(whole) < len(content)
        try:
            self.entries = self._checked(whole)
        except ConflictError:
            self.close()
            raise
        if self.torn:
            os.ftruncate(self._descriptor, len(whole))
            os.fsync(self._descriptor)
        self._bytes = len(whole)
        if is_new:
            sync_folder(path.parent)

    def _checked(self, content: bytes) -> list[Entry]:
        entries: list[Entry] = []
        for line in content.splitlines():
            try:
                entry = json.loads(line)
                fault = _fault(entry, not entries)
            except (ValueError, RecursionError):
                fault = "a line that is no JSON"
            if fault:
                raise ConflictError(
                    f"{self.path.parent.name}/{self.path.name} must be a journal, got {fault}; say --restart to throw "
                    "the work folder away"
                )
            entries.append(entry)
        return entries

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
