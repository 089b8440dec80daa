"""Names on a command line that stand for several files: patterns such as ``*.mkv``, and folders.

Windows' shells do not expand patterns.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path


def fixed_part(pattern: str) -> Path:
    """The folder that a pattern begins with, whose brackets are part of its name."""
    path = Path(pattern)
    return next((folder for folder in path.parents if os.path.isdir(folder)), Path(path.anchor))


def matches(pattern: str, suffixes: Iterable[str]) -> list[Path]:
    """Sorted folders, and files with one of these endings, that match a pattern; none for a name that is no pattern.

    A pattern that ends in another ending matches files with that one, too.
    """
    fixed = fixed_part(pattern)
    rest = str(Path(pattern).relative_to(fixed))
    if not glob.has_magic(rest):
        return []
    taken = {*suffixes, Path(pattern).suffix.lower()} - {""}
    for each in (rest, rest.replace("[", "[[]")):  # brackets may be part of the names
        try:
            found = sorted(glob.glob(os.path.join(glob.escape(str(fixed)), each), recursive=True))
        except (OSError, ValueError):
            continue
        if paths := [path for path in map(Path, found) if path.suffix.lower() in taken or path.is_dir()]:
            return paths
    return []


def is_earlier_result(path: Path, base: Path, output: Path) -> bool:
    """Whether a path found below ``base`` is the ``output`` folder, a resolved path, or in it.

    Results of the run before are no sources. Where the output folder holds the sources, too, nothing is one.
    """
    return base.resolve() in output.parents and path.resolve().is_relative_to(output)
