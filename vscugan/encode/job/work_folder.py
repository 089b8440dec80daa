"""The work folder, which may have come from anywhere: nothing in it is used before it was looked at.

It must be a real directory of the user's own that holds vscugan's own files, and no links. A folder that is so can
be changed by its owner alone; what is opened in it is still never followed through a link.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from vscugan.errors import ConflictError

FILE, FOLDER = "a file", "a folder"
FOLDERS = ("chunks", "temp")
#: what a work folder holds, without endings
OWN_NAMES = {"lock", "journal", "plan", "worker", "result", "certificate", *FOLDERS}
#: ``write_whole``'s unfinished files
UNFINISHED = (".plan.json.", ".certificate.json.")
#: what stands in ``chunks`` and ``temp``: files of one chunk or of a trial, covers, a stream alone
_OWN_PARTS = re.compile(r"(\d{6}|trial)(\..*)?|cover\d+\.\w+|alone\.mkv")
#: files that NFS and FUSE leave in place of open ones that are removed, and that macOS and Windows put into any folder
_SYSTEM_FILES = re.compile(r"\.(nfs|fuse_hidden|_).*|\.DS_Store|Thumbs\.db|desktop\.ini", re.DOTALL)
#: written in place, so another name of theirs would be written to as well
_IN_PLACE = {"lock", "journal.jsonl", "worker.log", "result.log"}
#: not on Windows, where only privileged users make links
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def open_file(path: Path, flags: int) -> int:
    """A descriptor of a file in the work folder, which must not be a link.

    Raises: OSError.
    """
    return os.open(path, flags | _NOFOLLOW | getattr(os, "O_BINARY", 0), 0o644)


def create_file(path: Path) -> BinaryIO:
    """A new file in the place of what is there, which is unlinked: its content may have a name elsewhere.

    Raises: OSError.
    """
    path.unlink(missing_ok=True)
    return open(path, "xb")


def read_file(path: Path) -> bytes:
    """What a file in the work folder holds.

    Raises: OSError.
    """
    with open(open_file(path, os.O_RDONLY), "rb") as file:
        return file.read()


def check_folder(folder: Path) -> None:
    """Refuse a work folder that is there and not to be trusted, before anything in it is read or written.

    Raises: ConflictError.
    """
    with contextlib.suppress(FileNotFoundError):
        status = folder.lstat()
        if (kind := _kind(folder, status)) != FOLDER:
            raise _error(f"be a folder, got {folder.name!r}, which is {kind}")
        if not _is_own(folder, status.st_uid):
            raise _error(f"be your own, got {folder.name!r} of user {status.st_uid}")
        for path in sorted(folder.iterdir()):
            _check(folder, path, path.stem in OWN_NAMES or path.name.startswith(UNFINISHED))
            for part in sorted(path.iterdir()) if path.name in FOLDERS else ():
                _check(folder, part, bool(_OWN_PARTS.fullmatch(part.name)))


def _error(fact: str, what: str = "it") -> ConflictError:
    return ConflictError(f"work folder must {fact}; move {what} away, or name another output")


def _check(folder: Path, path: Path, is_own_name: bool) -> None:
    """Refuse something in the folder that vscugan does not put there."""
    try:
        status = path.lstat()
    except FileNotFoundError:  # another run is at work
        return
    if _SYSTEM_FILES.fullmatch(path.name) and stat.S_ISREG(status.st_mode):
        return
    name, kind = path.relative_to(folder).as_posix(), _kind(path, status)
    what, that = f"{name!r} in {folder.name!r}", "that folder" if kind == FOLDER else "that file"
    if not is_own_name:
        raise _error(f"hold nothing else, got {what}", that)
    if kind != (FOLDER if name in FOLDERS else FILE):
        raise _error(f"hold files and no links, got {what}, which is {kind}", that)
    if name in _IN_PLACE and status.st_nlink > 1:
        raise _error(f"hold files and no links, got {what}, which has a second name elsewhere", that)


def _kind(path: Path, status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode) or path.is_junction():
        return "a link"
    if stat.S_ISDIR(status.st_mode):
        return FOLDER
    return FILE if stat.S_ISREG(status.st_mode) else "neither file nor folder"


def _is_own(folder: Path, owner: int) -> bool:
    """Whether the folder belongs to the user; some shares give all files one owner, a new one too."""
    if not hasattr(os, "geteuid") or owner == os.geteuid():
        return True
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            return os.fstat(probe.fileno()).st_uid == owner
    except OSError:
        return False
