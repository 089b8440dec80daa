"""``vscugan cache``: show what is kept to save time, or delete it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from vscugan.cache import TAG_NAME, cache_folder
from vscugan.cli.guard import print_error
from vscugan.cli.parser import Parser
from vscugan.cli.progress_display import format_size
from vscugan.errors import ArgumentError, DiskError

HELP = "show or clear the cache folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("action", nargs="?", choices=("show", "clear"), default="show", help="default: show")


def _size_bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    action = parser.parse(argv).action
    folder = cache_folder()
    parts = sorted(folder.iterdir(), key=lambda p: (p.name == TAG_NAME, p.name)) if folder.is_dir() else []
    if action == "clear" and parts and not (folder / TAG_NAME).exists():
        raise ArgumentError(
            f"folder must be a cache, got {folder.name!r} without {TAG_NAME}; clear it by hand, or name the right one "
            "by VSCUGAN_CACHE"
        )
    print(f"cache folder: {folder} (VSCUGAN_CACHE names another)")
    failed = False
    for part in parts:
        line = f"{part.name}: {format_size(_size_bytes(part))}"
        if action == "clear":
            try:
                shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink()
            except OSError as error:
                failed = True
                print_error("cache", f"{part.name} must be removable, got {error.strerror}")
                continue
            line += ", cleared"
        print(line)
    if not parts:
        print("nothing in it")
    return DiskError.exit_code if failed else 0
