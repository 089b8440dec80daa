"""What is kept from one process to the next: small files in a folder that can be deleted at any time."""

from __future__ import annotations

import functools
import logging
import os
import stat
import sys
import tempfile
from pathlib import Path

from vscugan.errors import DiskError
from vscugan.files import write_whole

logger = logging.getLogger(__name__)

#: see bford.info/cachedir
TAG_NAME = "CACHEDIR.TAG"
TAG = "Signature: 8a477f597d28d172789f06886806bc55"


@functools.cache
def _temporary_folder() -> Path:
    """A folder for a user without a home, which nobody else can write to; created here, so that it is surely ours."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"vscugan-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 0o077
    except OSError:
        is_ours = False
    if not is_ours:  # somebody was there before us
        folder = Path(tempfile.mkdtemp(prefix="vscugan-"))
    logger.warning("the user has no home folder, so the cache is in %s; name another place by VSCUGAN_CACHE", folder)
    return folder


def cache_folder() -> Path:
    """Where vscugan keeps what it may lose; not created here.

    ``VSCUGAN_CACHE`` names it; else it is ``vscugan`` in ``XDG_CACHE_HOME`` or the platform's cache folder, and where
    ``HOME`` is unset and the user has no home, one in the folder for temporary files.
    """
    if named := os.environ.get("VSCUGAN_CACHE"):
        return Path(named)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "vscugan"
    if sys.platform == "win32" and (base := os.environ.get("LOCALAPPDATA")):
        return Path(base) / "vscugan"
    try:
        home = Path.home()
    except RuntimeError:  # HOME is unset and the user is in no list, as in some containers
        return _temporary_folder()
    if sys.platform == "win32":
        return home / "vscugan"
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "vscugan"


def unwritable(reason: str) -> DiskError:
    """The error for a cache that can't be written although it is needed."""
    return DiskError(
        f"cache folder must be writable, got {str(cache_folder())!r}: {reason}; free some space or allow writing "
        "there, or name another one by VSCUGAN_CACHE"
    )


def ensure_folder(name: str) -> Path:
    """A folder in the cache, created if it is missing; the tag lets backups and ``clear`` recognise the cache.

    Raises: DiskError.
    """
    folder = cache_folder() / name
    tag = cache_folder() / TAG_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not tag.exists():
            tag.write_text(f"{TAG}\n# This folder is vscugan's cache; it may be removed.\n", encoding="utf-8")
    except OSError as error:
        raise unwritable(error.strerror or str(error)) from error
    return folder


def read_cached(name: str) -> bytes | None:
    """A file of the cache, None where there is none."""
    try:
        return (cache_folder() / name).read_bytes()
    except OSError:
        return None


def write_cached(name: str, content: bytes) -> None:
    """Write a file into the cache, whole or not at all.

    A cache that can't be written is logged and otherwise ignored, since no frame depends on it.
    """
    path = cache_folder() / name
    try:
        ensure_folder(str(Path(name).parent))
        write_whole(path, content)
    except DiskError as error:
        logger.warning("%s can't be written into the cache: %s", name, error)
