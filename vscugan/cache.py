"""What is kept from one process to the next: small files in a folder that can be deleted at any time."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """``VSCUGAN_CACHE``, or ``vscugan`` in the user's cache folder; it need not exist."""
    named = os.environ.get("VSCUGAN_CACHE")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "vscugan"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "vscugan"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vscugan"


def read_cached(name: str) -> bytes | None:
    """A file of the cache, None where there is none."""
    try:
        return (cache_folder() / name).read_bytes()
    except OSError:
        return None


def write_cached(name: str, content: bytes) -> None:
    """Put a file into the cache: whole or not at all, whoever writes beside us.

    A cache that can't be written is logged once per file and otherwise let be: no frame depends on it.
    """
    path = cache_folder() / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        logger.warning("%s can't be written into the cache: %s", name, error)
