"""The folder for what can be computed again: indexes of sources, and what other parts remember."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Where vscugan keeps what it may lose; not made here.

    ``VSCUGAN_CACHE`` names it; else it is ``vscugan`` in ``XDG_CACHE_HOME`` or the platform's cache folder.
    """
    if named := os.environ.get("VSCUGAN_CACHE"):
        return Path(named)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "vscugan"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "vscugan"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "vscugan"
    return Path.home() / ".cache" / "vscugan"


def index_folder() -> Path:
    """Where the indexes of sources are kept."""
    return cache_folder() / "index"
