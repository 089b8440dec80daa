"""``vscugan <command>`` and ``python -m vscugan <command>``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from vscugan import __version__
from vscugan.cli.guard import guarded, leave, prepare_process
from vscugan.cli.parser import Parser, suggestion
from vscugan.errors import ArgumentError
from vscugan.exits import EXIT_CODES

#: commands, each a module ``vscugan.cli.<name>_command`` with HELP, add_arguments(parser) and run(parser, argv)
COMMANDS = ("encode", "image", "preview", "verify", "cluster", "profiles", "models", "doctor", "cache", "benchmark")
EPILOG = "\n".join(
    ["vscugan help COMMAND shows the options of a command.", "", "exit codes:"]
    + [f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items()]
)


def _module(command: str) -> Any:
    return importlib.import_module(f"vscugan.cli.{command}_command")


def _overview_parser() -> Parser:
    """The parser whose help lists the commands."""
    parser = Parser(
        prog="vscugan", description="Real-CUGAN, waifu2x and Real-ESRGAN for VapourSynth", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"vscugan {__version__}")
    listed = parser.add_subparsers(metavar="command")
    for name in COMMANDS:
        listed.add_parser(name, help=_module(name).HELP)
    return parser


def command_parser(name: str) -> Parser:
    """The parser of one of the commands."""
    module = _module(name)
    parser = Parser(prog=f"vscugan {name}", description=module.HELP)
    module.add_arguments(parser)
    return parser


def _run_command(argv: Sequence[str]) -> int:
    """Run the command that stands first; returns the exit code."""
    if not argv or argv[0].startswith("-"):
        parser = _overview_parser()
        parser.parse(argv)  # --help and --version exit here
        parser.print_help()
        return 0
    name = argv[0]
    if name not in COMMANDS:
        listed = f"{', '.join(COMMANDS[:-1])} or {COMMANDS[-1]}"
        hint = suggestion(name, COMMANDS) or "run vscugan help to see what each does"
        raise ArgumentError(f"command must be {listed}, got {name}; {hint}")
    return int(_module(name).run(command_parser(name), argv[1:]))


def _run(argv: Sequence[str]) -> int:
    if argv and argv[0] == "help":
        argv = [*argv[1:2], "--help"]
    own = argv[: argv.index("--")] if "--" in argv else argv
    command = argv[0] if argv and argv[0] in COMMANDS else ""
    return guarded(command, lambda: _run_command(argv), as_json=bool(command) and "--json" in own)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. Without ``argv`` the process is ours, and ends with the command."""
    if argv is None:
        prepare_process()
        leave(_run(sys.argv[1:]))
    return _run(list(argv))


if __name__ == "__main__":
    main()
