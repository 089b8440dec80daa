"""The source as a file: readable, not empty, and the same one until the end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vscugan.errors import SourceError


def check_readable(path: Path) -> None:
    """Raise SourceError where the path is no file that can be read."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:  # VapourSynth's strings are UTF-8
        raise SourceError(f"source must have a path in UTF-8, got {os.fspath(path)!r}; rename it") from error
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"source must be a file, got {path.name!r}, which is not one; name a video file")
        with open(path, "rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        raise SourceError(
            f"source must be a readable file, got {path.name!r}: {error.strerror}; check the name and its rights"
        ) from error
    if is_empty:
        raise SourceError(f"source must be a video, got {path.name!r}, which is empty; name a whole file")


def refusal(path: Path, reason: str) -> SourceError:
    """The error for a file that is no video that can be read."""
    return SourceError(
        f"source must be a video that can be decoded, got {path.name!r}: {reason}; check that the file is whole"
    )


def identity(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced or written to: inode, bytes and time; None where it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
