"""``vscugan models``: the released models."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from vscugan.cli.parser import Parser
from vscugan.models.registry import rows

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
    print(f"{'model':<6} {'scale':<6} {'noise':<13} {'MiB':>5}  sha256 of the weights")
    for row in rows():
        print(f"{row.model:<6} {row.scale:<6} {row.noise:<13} {row.bin_bytes / 2**20:>5.1f}  {row.bin_sha256}")
    return 0
