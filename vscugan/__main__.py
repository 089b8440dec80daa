"""``python -m vscugan <command>``."""

from __future__ import annotations

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="vscugan", description="Real-CUGAN for VapourSynth")
    commands = parser.add_subparsers(required=True, metavar="command")
    commands.add_parser("doctor", help="say what is well and how to mend what is not")
    parser.parse_args(arguments)

    from vscugan.cli.doctor import doctor

    return doctor()


if __name__ == "__main__":
    sys.exit(main())
