"""Errors of the command line: one line each, with the way out."""

from __future__ import annotations

import pytest

from vscugan.__main__ import COMMANDS, main
from vscugan.cli import parser

ENCODE = ("encode", "a.mkv", "-o", "b.mkv")
BEHIND = "options of the encoder stand behind --, as in -- "
COMMAND = "command must be encode, image, preview, verify, cluster, profiles, models, doctor, cache or benchmark, got "


def see(command: str) -> str:
    return f"run vscugan {command} --help to see all options"


def unknown(command: str, option: str, hint: str) -> str:
    return f"option must be known to vscugan {command}, got {option}; {hint}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("encoed", f"{COMMAND}encoed; did you mean encode?"),
        ("upscale", f"{COMMAND}upscale; run vscugan help to see what each does"),
        ("encode --crf 16", unknown("encode", "--crf", f"{BEHIND}--crf 16")),
        ((*ENCODE, "--crf=16"), unknown("encode", "--crf", f"{BEHIND}--crf=16")),
        ((*ENCODE, "--tune", "--crf"), unknown("encode", "--tune", f"{BEHIND}--tune")),
        ((*ENCODE, "--niose", "3"), unknown("encode", "--niose", f"did you mean --noise? {BEHIND}--niose 3")),
        ((*ENCODE, "-preset", "slow"), unknown("encode", "-preset", f"{BEHIND}-preset slow")),
        ((*ENCODE, "--over"), "option must be written in full, got --over; write --overwrite or --overshoot"),
        ((*ENCODE, "--scale", "big"), f"scale must be a number, got big; {see('encode')}"),
        ((*ENCODE, "--leave-out=1"), f"--leave-out: ignored explicit argument '1'; {see('encode')}"),
        ((*ENCODE, "--chunk", "x", "--", "--crf"), f"chunk must be a number, got x; {see('encode')}"),
        ((*ENCODE, "c.mkv"), f"arguments must be options and their values, got c.mkv; {see('encode')}"),
        ((*ENCODE, "--config", "x"), "config must be given with a profile, got 'x' alone; say --profile, too"),
        ((*ENCODE, "--profile", ""), "profile must be dvd, web, bd, real-time, got ; run vscugan profiles to see them"),
        ((*ENCODE, "--jobs", "0"), "jobs must be 1 to 16, got 0; each holds a model of its own"),
        ((*ENCODE, "--jobs", "17"), "jobs must be 1 to 16, got 17; each holds a model of its own"),
        ("encode a.mkv", f"-o/--output must be given, got none; {see('encode')}"),
        ("encode a.mkv -o", f"-o/--output must have one argument, got none; {see('encode')}"),
        ("image a.png -o b --tile 64,x", f"tile must be one or two whole numbers, got 64,x; {see('image')}"),
        ("image a.png -o b --to gif", f"to must be avif, jpeg, jpg, png, tif, tiff or webp, got gif; {see('image')}"),
        ("cache emtpy", f"action must be show or clear, got emtpy; {see('cache')}"),
        ("models --jsno", unknown("models", "--jsno", "did you mean --json?")),
        ("benchmark --frames -1", "frames must be at least 1, got -1; leave it out for the default"),
    ],
)
def test_a_wrong_argument_is_one_line(
    line: str | tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = line.split() if isinstance(line, str) else list(line)
    assert main(argv) == 2
    command = f" {argv[0]}" if argv[0] in COMMANDS else ""
    assert capsys.readouterr() == ("", f"vscugan{command}: {message}\n")


@pytest.mark.parametrize(
    ("escapes", "first"), [("\\", "C:x y.exe"), ("", r"C:\x y.exe")]
)  # on Windows a backslash is part of a path
def test_arguments_in_one_text(escapes: str, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "ESCAPES", escapes)
    assert parser.split_arguments(r"""C:\x" y.exe" --a='b c' #1""") == [first, "--a=b c", "#1"]
