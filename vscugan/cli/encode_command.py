"""``vscugan encode``: from a file to a finished file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from vscugan.cli.guard import interruption, print_error
from vscugan.cli.options import add_upscale, given_upscale, script_arguments
from vscugan.cli.parser import Parser
from vscugan.cli.progress_display import choose_display

HELP = "upscale a video file and keep everything else in it; an interrupted run can be resumed"
EPILOG = """Arguments after -- go to the encoder, for example: -- --crf 16 --preset slow
With a program of your own, name its output: --encoder aomenc -- --ivf --cq-level=20 -o {output}.ivf -"""
#: the hint for an unknown option, which may be meant for the encoder
REST_HINT = "options of the encoder stand behind --, as in -- {}"


def add_arguments(parser: Parser) -> None:
    """Describe the command."""
    parser.rest_hint = REST_HINT
    parser.epilog, parser.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("source", type=os.path.abspath, help="a video file")
    add("-o", "--output", type=os.path.abspath, required=True, help="the file to write: .mkv, .mp4 or .m4v")
    absent: Any = argparse.SUPPRESS
    add("--script", type=os.path.abspath, default=absent, help="your own .vpy; it gets `source`, `clip` and `args`")
    add("--arg", action="append", default=absent, metavar="NAME=VALUE", help="an argument for the script, as vspipe -a")
    add("--encoder", default=absent, help="x265 (default), x264, svt-av1, ffv1, or a program that reads y4m")
    add("--chunk", type=float, default=absent, metavar="SECONDS", help="length of the chunks (default 10)")
    add("--leave-out", action="store_true", default=absent, help="leave out what the container can't hold")
    add("--resume", action="store_true", help="resume the run before; options left out are as they were there")
    add("--restart", action="store_true", help="delete the run before, and begin anew")
    add("--overwrite", action="store_true", help="replace an output that exists")
    add("--keep-work", action="store_true", help="keep the work folder after the end")
    add("--json", action="store_true", help="report everything as JSON, one event a line")
    add_upscale(parser)


def _given(arguments: argparse.Namespace, encoder_arguments: list[str] | None) -> dict[str, Any]:
    """The fields of the job that were given on the command line."""
    given: dict[str, Any] = {"overwrite": arguments.overwrite, "keep_work": arguments.keep_work}
    names = {"script": "script", "encoder": "encoder", "chunk": "chunk_s", "leave_out": "leave_out"}
    given |= {field: getattr(arguments, name) for name, field in names.items() if hasattr(arguments, name)}
    if hasattr(arguments, "arg"):
        given["script_arguments"] = script_arguments(arguments.arg)
    if options := given_upscale(arguments):
        given["options"] = options
    if encoder_arguments is not None:
        given["encoder_arguments"] = encoder_arguments
    return given


def _encode(arguments: argparse.Namespace, encoder_arguments: list[str] | None) -> int:
    given = _given(arguments, encoder_arguments)
    from vscugan.encode import supervise
    from vscugan.encode.job.encode_job import EncodeJob
    from vscugan.encode.job.resume import resumed

    job = EncodeJob(source=arguments.source, output=arguments.output)
    job = resumed(job, given) if arguments.resume else EncodeJob(**{**vars(job), **given})
    job.check()
    supervise.check_output(job)
    display = choose_display(as_json=arguments.json)
    failures: list[str] = []

    def listen(event: dict[str, Any]) -> None:
        display(event)
        if event["event"] == "error":
            failures.append(event["message"])

    try:
        code = supervise.encode(job, listen, arguments.restart)
    except KeyboardInterrupt as error:
        text, code = interruption(error)
        display({"event": "interrupted", "code": code})
        display.close()
        kept = supervise.has_chunks(job.work_folder)
        hint = "run the same command again to go on" if kept else "no chunk was finished yet, nothing is left behind"
        print_error("encode", f"{text}; {hint}")
        return code
    finally:
        display.close()
    for message in failures:
        print_error("encode", message)
    return code


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    own = list(argv)
    encoder_arguments = None
    if "--" in own:
        place = own.index("--")
        own, encoder_arguments = own[:place], own[place + 1 :]
    return _encode(parser.parse(own, ("-o", "--output", "--script", "--weights")), encoder_arguments)
