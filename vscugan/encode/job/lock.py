"""One run a folder: a lock that the system lets go when the last process that holds it is gone."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

from vscugan.encode.job.work_folder import check_folder, open_file
from vscugan.errors import LockedError

LOCK_NAME = "lock"
#: so often a folder may be removed while it is being locked; Windows says the same of a path that is too long
MOST_ATTEMPTS = 100
#: the byte that Windows locks, which nobody else can read then: far behind the number in the file
LOCKED_BYTE = 1 << 30


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take_lock(folder: Path) -> int:
    """Lock a folder; returns the open descriptor, which children may inherit and hold on to.

    The kernel drops the lock with its last holder, so no crash leaves one behind; the number in the file is
    only for the message. Raises: LockedError; ConflictError for a folder that is not to be trusted.
    """
    path = folder / LOCK_NAME
    for attempt in count(1):
        try:
            folder.mkdir(exist_ok=True)
            check_folder(folder)
            descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # removed in between, by the run that held the lock until now
            if attempt == MOST_ATTEMPTS or not folder.parent.is_dir():
                raise
            continue
        if not _try_lock(descriptor):
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise LockedError(
                f"work folder {folder.name} must be free, got one that process {holder} works in; "
                "wait for it, or end it and run this again"
            )
        if _is_in_place(descriptor, path):
            break
        os.close(descriptor)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def empty_folder(folder: Path) -> None:
    """Remove what is in a locked folder, but for the lock.

    Raises: OSError.
    """

    def raise_unless_gone(function: object, path: str, error: BaseException) -> None:
        if not isinstance(error, FileNotFoundError):  # macOS removes ._x with x, where it keeps such files
            raise error

    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, onexc=raise_unless_gone)
        elif path.name != LOCK_NAME:
            path.unlink(missing_ok=True)


def release(folder: Path, lock: int, *, remove: bool) -> None:
    """Give the lock back; ``remove``: after the folder has gone, as far as that can be done."""
    if remove and sys.platform == "win32":  # which does not remove what is open
        with suppress(OSError):
            empty_folder(folder)
        os.close(lock)
        with suppress(OSError):  # another run has taken it since
            (folder / LOCK_NAME).unlink()
            folder.rmdir()
        return
    if remove:
        shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


def _is_in_place(descriptor: int, path: Path) -> bool:
    """Whether the locked file is still the one that the path names."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
