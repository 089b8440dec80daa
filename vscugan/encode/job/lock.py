"""One run a folder: a lock that the system lets go when the last process that holds it is gone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vscugan.encode.job.work_folder import check_folder, open_file
from vscugan.errors import LockedError

LOCK_NAME = "lock"


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
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
    while True:
        try:
            folder.mkdir(exist_ok=True)
            check_folder(folder)
            descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # removed in between, by the run that held the lock until now
            if not folder.parent.is_dir():
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


def _is_in_place(descriptor: int, path: Path) -> bool:
    """Whether the locked file is still the one that the path names."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
