"""``vscugan <command>`` and ``python -m vscugan <command>``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from vscugan import __version__
from vscugan.cli.guard import guarded, leave, prepare_process
from vscugan.cli.parser import Parser, suggestion
from vscugan.errors import ArgumentError

#: commands, each a module of ``vscugan.cli`` with HELP, add_arguments(parser) and run(parser, words)
COMMANDS = ("encode", "image", "preview", "verify", "models", "doctor", "cache", "benchmark")
EPILOG = """vscugan help COMMAND shows the options of a command.

exit codes: 0 done, 1 a difference was found, something is unwell or a frame could not be computed, 2 an argument is
wrong or a package is missing, 3 the source can't be read, 4 refused, 5 another run works there, 6 the encoder failed,
7 the disk, 8 the finished file is not right, 9 the worker was killed, 70 internal error, 129 SIGHUP, 130 Ctrl-C,
143 SIGTERM"""


def _top() -> Parser:
    """The parser whose help lists the commands."""
    parser = Parser(
        prog="vscugan", description="Real-CUGAN for VapourSynth", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"vscugan {__version__}")
    listed = parser.add_subparsers(metavar="command")
    for name in COMMANDS:
        listed.add_parser(name, help=importlib.import_module(f"vscugan.cli.{name}").HELP)
    return parser


def _command(words: Sequence[str]) -> int:
    """Run the command that the words begin with; returns the exit code."""
    if not words or words[0].startswith("-"):
        parser = _top()
        parser.parse(words)  # --help and --version exit here
        parser.print_help()
        return 0
    name = words[0]
    if name not in COMMANDS:
        listed = f"{', '.join(COMMANDS[:-1])} or {COMMANDS[-1]}"
        hint = suggestion(name, COMMANDS) or "run vscugan help to see what each does"
        raise ArgumentError(f"command must be {listed}, got {name}; {hint}")
    module = importlib.import_module(f"vscugan.cli.{name}")
    parser = Parser(prog=f"vscugan {name}", description=module.HELP)
    module.add_arguments(parser)
    return int(module.run(parser, words[1:]))


def _run(words: Sequence[str]) -> int:
    if words and words[0] == "help":
        words = [*words[1:2], "--help"]
    own = words[: words.index("--")] if "--" in words else words
    command = words[0] if words and words[0] in COMMANDS else ""
    return guarded(command, lambda: _command(words), as_json=bool(command) and "--json" in own)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. Without ``arguments`` the process is ours, and ends with it."""
    if arguments is None:
        prepare_process()
        leave(_run(sys.argv[1:]))
    return _run(list(arguments))


if __name__ == "__main__":
    main()
