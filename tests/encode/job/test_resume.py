"""Nothing that a work folder names is run, and its values are checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.encode_runs import refusal

from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.resume import are_values

THROW = "; say --restart to throw the work folder away"


@pytest.mark.parametrize(
    ("values", "argv", "add"),
    [
        ({"encoder": "sh", "encoder_arguments": ["-c", "echo >{output}"]}, (), "--encoder sh -- -c 'echo >{output}'"),
        ({"encoder": "sh", "encoder_arguments": ["{output}"]}, ("--encoder", "sh"), "-- '{output}'"),
        ({"script": "/x/a b.vpy", "script_arguments": {"n": "1"}}, (), "--script '/x/a b.vpy' --arg n=1"),
        ({"script": "/x.vpy", "script_arguments": {"n": "1"}}, ("--script", "/x.vpy"), "--arg n=1"),
        ({"encoder": "ffv1", "encoder_arguments": ["-f", "mpegts", "/home/x"]}, (), "-- -f mpegts /home/x"),
        ({"encoder_arguments": ["--csv=\x1b[2J"]}, (), r"-- '--csv=\x1b[2J'"),
    ],
)  # fmt: skip
def test_what_is_run_is_not_taken_from_the_folder(
    work: Path, capsys: pytest.CaptureFixture[str], values: dict[str, Any], argv: tuple[str, ...], add: str
) -> None:
    job = EncodeJob(source="a", output="b", **values)
    (work / "plan.json").write_text(json.dumps(job.to_json()))
    assert refusal(work, capsys, "--resume", *argv) == (
        "what is run must be named again with --resume, got it from o.mkv.vscugan/plan.json alone; where it is yours, "
        f"add: {add}"
    )


def test_values_of_encoder_arguments_are_taken_from_the_folder() -> None:
    for text in ("--crf 16 --preset slow --no-sao --deblock -1:-1 --aq-mode=3", "-level 3 -g 1", "--tune animation"):
        assert are_values(text.split()), text
    for text in ("--csv log", "--stats=a", "--crf 16 file", "--preset slow file", "--preset a/b", "x=1", "-f mpegts"):
        assert not are_values(text.split()), text


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"encoder": 3}, "parameters must be those of encode, got encoder of another type; give them on the command "
                         "line"),
        ({"options": {"scale": "2"}}, "options must be those of Upscale, got scale of another type; "
                                      "run vscugan help encode to see them"),
        ({"options": {"alpha_clip": 1}}, "options must be those of Upscale, got alpha_clip; "
                                         "run vscugan help encode to see them"),
        ({"options": {"report": 0}}, "options must be those of Upscale, got report; "
                                     "run vscugan help encode to see them"),
        ({"options": {"noise": "loud"}}, "noise must be conservative, no-denoise, denoise0x, denoise1x, denoise2x, "
                                         "denoise3x or -1 to 3, got loud; -1 is no-denoise, and 0 is conservative, "
                                         "as in vs-mlrt, or waifu2x's denoise0x"),
        ({"options": {"segment": 24.5}}, "options must be those of Upscale, got segment of another type; "
                                         "run vscugan help encode to see them"),
        ({"options": {"segment": None}}, "options must be those of Upscale, got segment of another type; "
                                         "run vscugan help encode to see them"),
        ({"chunk_s": float("nan")}, "chunk must be above 0 and at most 3600 s, got nan; leave it out for 10"),
        ({"chunk_s": 10**400}, "parameters must be those of encode, got chunk_s of another type; give them on the "
                               "command line"),
        ({"options": {"scale": 10**400}}, "options must be those of Upscale, got scale of another type; "
                                          "run vscugan help encode to see them"),
        ({"script_arguments": {"a b": "c"}}, "arg must be NAME=VALUE, got 'a b'; write it as for vspipe -a"),
        ([], "parameters must be those of encode, got no source; give them on the command line"),
    ],
)  # fmt: skip
def test_a_job_is_checked_like_the_command_line(
    work: Path, capsys: pytest.CaptureFixture[str], content: Any, fault: str
) -> None:
    content = content and {"source": "a", "output": "b", **content}
    (work / "plan.json").write_text(json.dumps(content))
    assert refusal(work, capsys, "--resume") == f"o.mkv.vscugan/plan.json must be a plan, got {fault}{THROW}"
