"""Writing files so that a crash leaves the old one or the new one, never half of one."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import threading
from io import FileIO
from pathlib import Path

from vscugan.errors import DiskError

READ_BYTES = 1 << 20
#: a disk with less free space than this counts as full
FULL_BYTES = 16 << 20
#: parts of the messages of programs that can't write any more
FULL_MESSAGES = ("No space left", "File too large", "quota exceeded")
#: a part that a demuxer skips is hashed at once up to this size; a larger one makes the rest wait for the end
SKIPPED_BYTES = 16 << 20


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


def nearest_folder(path: Path) -> Path:
    """The path itself, or the nearest folder around it that is there; the last one where none is, as on Windows."""
    around = (path, *path.parents)
    return next((each for each in around if each.exists()), around[-1])


def write_whole(path: Path, content: bytes) -> None:
    """Write a file by temp file and rename, durably; several processes and threads may write the same file.

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
        f"{path.name} must be writable, got {error.strerror or error}; free some space or allow writing in the "
        "output's folder, then run the same command again"
    )


def is_full(folder: Path, message: str) -> bool:
    """Whether a program that wrote into a folder failed because the disk is full, by its message or the free space."""
    return shutil.disk_usage(folder).free < FULL_BYTES or any(part in message for part in FULL_MESSAGES)


class HashedReader:
    """A file that a demuxer reads, and the file's sha256 without a second pass over it.

    What the demuxer reads in order is hashed at once; the rest, as a rule nothing, is read at the end.
    """

    def __init__(self, file: FileIO) -> None:
        self.name = file.name
        self._file = file
        self._digest = hashlib.sha256()
        self._hashed = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See ``FileIO``."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """See ``FileIO``."""
        return self._file.tell()

    def read(self, size: int) -> bytes:
        """See ``FileIO``."""
        start = self._file.tell()
        if self._hashed < start <= self._hashed + SKIPPED_BYTES:
            self._hash_up_to(start)
        data = self._file.read(size)
        if start <= self._hashed < start + len(data):
            self._digest.update(memoryview(data)[self._hashed - start :])
            self._hashed = start + len(data)
        return data

    def _hash_up_to(self, stop: int | None) -> None:
        """Hash up to an offset, None for the file's end; the position afterwards is where hashing stopped."""
        self._file.seek(self._hashed)
        while stop is None or self._hashed < stop:
            data = self._file.read(READ_BYTES if stop is None else min(READ_BYTES, stop - self._hashed))
            if not data:
                break
            self._digest.update(data)
            self._hashed += len(data)

    def sha256(self) -> str:
        """The sha256 of the whole file, as hex."""
        self._hash_up_to(None)
        return self._digest.hexdigest()


def sha256(path: Path) -> str:
    """The sha256 of a file, as hex."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
