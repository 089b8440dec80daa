"""The folder for what can be computed again: indexes of sources, and what other parts remember."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: see bford.info/cachedir
TAG_NAME = "CACHEDIR.TAG"
TAG = "Signature: 8a477f597d28d172789f06886806bc55"


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


def made_folder(name: str) -> Path:
    """A folder of this name in the cache, made where it is missing; the tag tells backups and ``clear`` what it is."""
    folder = cache_folder() / name
    folder.mkdir(parents=True, exist_ok=True)
    tag = cache_folder() / TAG_NAME
    if not tag.exists():
        tag.write_text(f"{TAG}\n# This folder is vscugan's cache; it may be removed.\n", encoding="utf-8")
    return folder
