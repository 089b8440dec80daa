"""``vscugan doctor``: one line for each part of the installation, with a hint where something is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from vscugan.cli import doctor_checks
from vscugan.cli.doctor_checks import Absent
from vscugan.cli.parser import Parser

HELP = "check the installation, and say how to correct what is wrong"


def doctor() -> int:
    """Print a line for each check; returns 1 when any failed. What is merely not installed is no failure."""
    failed = False
    for name, check in doctor_checks.CHECKS:
        try:
            print(f"ok    {name}: {check()}")
        except Absent as error:
            print(f"-     {name}: {error}")
        except Exception as error:  # a check that breaks is a finding, not a crash
            failed = True
            print(f"FAIL  {name}: {error}")
    return int(failed)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Do nothing: the command has no arguments."""


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    parser.parse(argv)
    return doctor()
