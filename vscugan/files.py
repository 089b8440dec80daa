"""Writing files so that a crash leaves the old one or the new one, never half of one."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from pathlib import Path

from vscugan.errors import DiskError

READ_BYTES = 1 << 20


def sync_folder(folder: Path) -> None:
    """Make a folder's entries durable; Windows has no such call and does it by itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file by temp file and rename, durably, whoever writes beside us; the temp file is beside it.

    Raises: DiskError.
    """
    temp = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        temp.unlink(missing_ok=True)
        with open(temp, "xb") as file:  # never through a link that someone has put there
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp, path)
        sync_folder(path.parent)
    except OSError as error:
        temp.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def disk_error(path: Path, error: OSError) -> DiskError:
    """The error for a file that can't be written."""
    return DiskError(
        f"{path.name} must be writable, got {error.strerror or error}; make room or rights in the output's folder, "
        "then run the same command again"
    )


def sha256(path: Path) -> str:
    """The sha256 of a file, as hex."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
