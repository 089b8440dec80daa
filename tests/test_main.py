"""The command that is run: by its name, as help, and what each command says of itself."""

from __future__ import annotations

import pytest

from vscugan import __version__
from vscugan.__main__ import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: vscugan {command}")


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    help = capsys.readouterr().out
    assert all(f"\n    {command}" in help for command in COMMANDS)
    for argv, start in ((["help"], help), (["help", "cache"], "usage: vscugan cache"), (["-h"], help),
                         (["--version"], f"vscugan {__version__}\n")):  # fmt: skip
        with pytest.raises(SystemExit) as end:
            main(argv)
        assert end.value.code == 0
        assert capsys.readouterr().out.startswith(start)
