"""``vscugan profiles``: which profiles there are, and what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vscugan.cli.parser import Parser
from vscugan.cli.profiles import ABOUT, config_file, read_profiles, toml_text

HELP = "list the profiles of encode, and what they hold"


def add_arguments(parser: Parser) -> None:
    """Describe the command."""
    usual = str(config_file()).replace("%", "%%")
    parser.add_argument("--config", metavar="FILE", help=f"your profiles, in place of {usual}")


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    arguments = parser.parse(argv, ("--config",))
    for profile in read_profiles(arguments.config).values():
        print(f"{profile.name} ({profile.origin}){f': {profile.about}' if profile.about else ''}")
        for name, value in profile.options.items():
            if name != ABOUT:
                print(f"    {toml_text(name, is_key=True)} = {toml_text(value)}")
    file = config_file() if arguments.config is None else Path(arguments.config)
    print(f"your profiles: {file}" if file.exists() else f"your profiles: none yet; write them into {file}")
    return 0
