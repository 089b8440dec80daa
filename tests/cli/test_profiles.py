"""Profiles: options by a name, from the shipped file and from the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vscugan.__main__ import main
from vscugan.cli import encode_command
from vscugan.cli.parser import Parser
from vscugan.cli.profiles import config_file, find_profile, read_profiles
from vscugan.errors import ArgumentError

OWN = """
[web]
scale = 3
device = ["cpu", "cpu"]
leave-out = true
arg = {zoom = 2, name = "a b"}
encoder-arguments = ["--crf", "17"]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file, in the usual place."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = config_file()
    path.parent.mkdir()
    path.write_text(OWN)
    return path


@pytest.fixture
def parser() -> Parser:
    parser = Parser(prog="vscugan encode")
    encode_command.add_arguments(parser)
    return parser


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What encodes would be made of; none is begun."""
    found: list[dict[str, Any]] = []

    def note(source: str, given: dict[str, Any], *_: object) -> int:
        found.append(given)
        return 0

    monkeypatch.setattr(encode_command, "_encode_one", note)
    return found


def test_shipped_profiles_are_options(parser: Parser, tmp_path: Path) -> None:
    (tmp_path / "empty.toml").touch()
    profiles = read_profiles(str(tmp_path / "empty.toml"))
    assert list(profiles) == ["dvd", "web", "bd", "real-time"]
    for profile in profiles.values():
        arguments = parser.parse(["in.mkv", "-o", "out.mkv", *profile.arguments(parser)])
        assert arguments.scale == 2
        assert profile.about
        assert profile.encoder_arguments()


def test_the_users_own_profile_stands_for_the_shipped_one(
    config: Path, jobs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", "a.mkv", "-o", "b.mkv", "--profile", "web", "--scale", "4", "--arg", "zoom=5"]) == 0
    (job,) = jobs
    assert job["options"] == {"scale": 4, "device": ["cpu", "cpu"]}
    assert job["leave_out"]
    assert job["script_arguments"] == {"zoom": "5", "name": "a b"}
    assert job["encoder_arguments"] == ["--crf", "17"]
    assert job["profile"]["file"] == "vscugan.toml"
    assert job["profile"]["overridden"] == ["arg", "scale"]
    assert main(["encode", "a.mkv", "-o", "b.mkv", "--profile", "web", "--", "--crf", "3"]) == 0
    assert jobs[1]["encoder_arguments"] == ["--crf", "3"]
    assert jobs[1]["profile"]["overridden"] == ["encoder-arguments"]
    assert main(["profiles"]) == 0
    shown = capsys.readouterr().out
    assert f'web ({config})\n    scale = 3\n    device = ["cpu", "cpu"]\n    leave-out = true\n' in shown
    assert shown.endswith(f"your profiles: {config}\n")
    assert "bd (shipped): a clean Blu-ray\n" in shown


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[x]\nscal = 2", "profile x in vscugan.toml must hold options, got scal; did you mean scale?"),
        ("[x]\noutput = 'o.mkv'", "profile x in vscugan.toml must hold options, got output; see vscugan help encode"),
        ("[x]\nleave-out = 1", "leave-out of profile x in vscugan.toml must be true or false, got 1; correct it "
         "in that file"),
        ("[x]\nnoise = true", "noise of profile x in vscugan.toml must be text or a number, got true; correct it "
         "in that file"),
        ("[x]\nencoder-arguments = 3",
         "encoder-arguments of profile x in vscugan.toml must be text, or a list of it, got 3; "
         "correct it in that file"),
        ("[x]\nencoder-arguments = \"--crf 16 'x\"",
         "encoder-arguments of profile x in vscugan.toml must have pairs of quotes, got \"--crf 16 'x\"; correct it in "
         "that file"),
        ("[x]\nabout = 1979-05-27", "about of profile x in vscugan.toml must be text, got 1979-05-27; correct it in "
         "that file"),
        ("[x]\narg = [true]", "arg of profile x in vscugan.toml must be text or a number, got [true]; correct it in "
         "that file"),
        ("[x]\ndry-run = true", "profile x in vscugan.toml must hold options, got dry-run; see vscugan help encode"),
        (f"x = {5000 * '['}", "config must be TOML, got too many brackets in 'vscugan.toml'; correct it"),
        ("scale = 2", "config must hold profiles, got scale outside of them in 'vscugan.toml'; write it below a line "
         "like [bd]"),
        ("[x", "config must be TOML, got Expected ']' at the end of a table declaration (at end of document) in "
         "'vscugan.toml'; correct it"),
        ("[x]\nscale = 'two'", "scale must be a number, got two; run vscugan encode --help to see all options"),
        ("[y]", "profile must be dvd, web, bd, real-time, y, got x; run vscugan profiles to see them"),
    ],
)  # fmt: skip
def test_what_is_no_profile_is_refused(
    config: Path, content: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(content)
    assert main(["encode", "a.mkv", "-o", "b.mkv", "--profile", "x"]) == 2
    assert capsys.readouterr().err == f"vscugan encode: {message}\n"


@pytest.mark.parametrize(
    ("content", "argv", "expected", "overridden"),
    [
        ("", "--encoder svt-av1", {"scale": 2}, ["encoder", "encoder-arguments"]),
        ("", "--width 128", {"width": 128}, ["scale"]),
        ("[bd]\nwidth = 9\nheight = 9", "--scale 3", {"scale": 3}, ["height", "width"]),
        ("[bd]\nstrength = 1.5\nto = 'mkv'\njobs = 2", "--noise 2 --to mkv --jobs 1", {"noise": "2"},
         ["strength", "to"]),
        ("[bd]\narg = ['a=1', 'b=2']", "--arg b=3", {}, ["arg"]),
        ("\ufeff[bd]\nscale = 3", "-- --crf 1", {"scale": 3}, []),
    ],
)  # fmt: skip
def test_the_command_line_replaces_what_contradicts_it(
    config: Path, jobs: list[dict[str, Any]], content: str, argv: str, expected: dict[str, Any], overridden: list[str]
) -> None:
    config.write_text(content, encoding="utf-8")
    assert main(["encode", "a.mkv", "-o", "b.mkv", "--profile", "bd", *argv.split()]) == 0
    (job,) = jobs
    assert {name: value for name, value in job.get("options", {}).items() if value != "conservative"} == expected
    assert job["profile"]["overridden"] == overridden
    assert "jobs" not in job["profile"]["options"]
    assert job.get("script_arguments", {"a": "1", "b": "3"}) == {"a": "1", "b": "3"}
    assert job.get("encoder_arguments") == (["--crf", "1"] if "--crf" in argv else ["--crf", "16", "--preset", "slow"]
                                            if argv == "--width 128" else None)  # fmt: skip


def test_paths_in_a_profile_begin_at_its_file(config: Path, jobs: list[dict[str, Any]]) -> None:
    config.write_text("[x]\nscript = 'my.vpy'\nweights = 'w/x.pth'")
    assert main(["encode", "a.mkv", "-o", "b.mkv", "--profile", "x"]) == 0
    assert jobs[0]["script"] == str(config.parent / "my.vpy")
    assert jobs[0]["options"]["weights"] == str(config.parent / "w" / "x.pth")


def test_without_a_file_its_place_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "50%s"))
    assert main(["profiles"]) == 0
    assert capsys.readouterr().out.endswith(f"your profiles: none yet; write them into {config_file()}\n")
    with pytest.raises(SystemExit):
        main(["profiles", "--help"])
    assert "50%s" in capsys.readouterr().out


def test_a_config_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"config must be readable, got No such file or directory: 'no\.toml'"):
        find_profile("bd", str(tmp_path / "no.toml"))
