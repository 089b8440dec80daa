"""``vscugan models``: the released models."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from vscugan.cli.parser import Parser
from vscugan.install import how_to_install
from vscugan.models.registry import is_installed, rows
from vscugan.option_values import listed

HELP = "list the released models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--json", action="store_true", help="everything in the registry, as JSON")


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    arguments = parser.parse(argv)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows()], indent=1))
        return 0
    print(f"{'model':<21}  {'scale':<5}  {'noise':<12}  {'MiB':>4}  sha256 of the weights")
    for row in rows():
        size = f"{row.file_bytes / 2**20:.1f}"
        print(f"{row.model:<21}  {row.scale:<5}  {row.noise or '-':<12}  {size:>4}  {row.sha256}")
    for extra in dict.fromkeys(row.extra for row in rows() if row.extra and not is_installed(row)):
        names = listed(list(dict.fromkeys(row.model for row in rows() if row.extra == extra)), "and")
        print(f"the extra {extra}, for {names}, is not installed; {how_to_install(extra)}")
    return 0
