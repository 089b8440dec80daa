"""``vscugan <command>`` and ``python -m vscugan <command>``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

#: commands, each a module of ``vscugan.cli`` with HELP, add_arguments(parser) and run(parser, words)
COMMANDS = ("encode", "image", "preview", "verify", "models", "doctor", "cache", "benchmark")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="vscugan", description="Real-CUGAN for VapourSynth")
    listed = parser.add_subparsers(required=True, metavar="command")
    modules = {name: importlib.import_module(f"vscugan.cli.{name}") for name in COMMANDS}
    for name, module in modules.items():
        listed.add_parser(name, help=module.HELP)
    if not words or words[0] not in modules:
        parser.parse_args(words)
    command = modules[words[0]]
    own = argparse.ArgumentParser(prog=f"vscugan {words[0]}", description=command.HELP)
    command.add_arguments(own)
    return int(command.run(own, words[1:]))


if __name__ == "__main__":
    sys.exit(main())
