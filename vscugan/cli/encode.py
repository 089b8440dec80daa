"""``vscugan encode``: from a file to a finished file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from vscugan.cli.guard import interruption, say
from vscugan.cli.options import add_upscale, given_upscale, script_arguments
from vscugan.cli.parser import Parser
from vscugan.cli.progress import shown

HELP = "upscale a video file, resumable, with everything else in it kept"
EPILOG = """arguments after -- go to the encoder, for example: -- --crf 16 --preset slow
With a program of your own, name its output: --encoder aomenc -- --ivf --cq-level=20 -o {output}.ivf -"""
#: said of an option that is not known, which the encoder may know
REST_HINT = "options of the encoder stand behind --, as in -- {}"


def add_arguments(parser: Parser) -> None:
    """Describe the command."""
    parser.rest_hint = REST_HINT
    parser.epilog, parser.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("source", type=os.path.abspath, help="a video file")
    add("-o", "--output", type=os.path.abspath, required=True, help="the file to make: .mkv, .mp4 or .m4v")
    absent: Any = argparse.SUPPRESS
    add("--script", type=os.path.abspath, default=absent, help="a .vpy of your own; it finds `source` and `args`")
    add("--arg", action="append", default=absent, metavar="NAME=VALUE", help="for the script, as vspipe -a")
    add("--encoder", default=absent, help="x265 (default), x264, svt-av1, ffv1, or a program that reads y4m")
    add("--chunk", type=float, default=absent, metavar="SECONDS", help="length of the chunks (default 10)")
    add("--leave-out", action="store_true", default=absent, help="go on without what the container can't hold")
    add("--resume", action="store_true", help="go on with the run before; options left out are as they were there")
    add("--restart", action="store_true", help="throw the run before away")
    add("--overwrite", action="store_true", help="replace an output that exists")
    add("--keep-work", action="store_true", help="keep the work folder after the end")
    add("--json", action="store_true", help="tell everything as JSON, a line each")
    add_upscale(parser)


def _given(arguments: argparse.Namespace, encoder_arguments: list[str] | None) -> dict[str, Any]:
    """What of the plan was said on the command line."""
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
    from vscugan.encode.job.encode_job import EncodeJob
    from vscugan.encode.job.resume import resumed
    from vscugan.encode.worker import supervise

    plan = EncodeJob(source=arguments.source, output=arguments.output)
    plan = resumed(plan, given) if arguments.resume else EncodeJob(**{**vars(plan), **given})
    plan.check()
    supervise.check_output(plan)
    show = shown(as_json=arguments.json)
    failures: list[str] = []

    def listen(event: dict[str, Any]) -> None:
        show(event)
        if event["event"] == "error":
            failures.append(event["message"])

    try:
        code = supervise.encode(plan, listen, arguments.restart)
    except KeyboardInterrupt as error:
        text, code = interruption(error)
        show({"event": "interrupted", "code": code})
        show.close()
        kept = supervise.has_chunks(plan.work_folder)
        hint = "run the same command again to go on" if kept else "no chunk was finished yet, nothing is left behind"
        say("encode", f"{text}; {hint}")
        return code
    finally:
        show.close()
    for message in failures:
        say("encode", message)
    return code


def run(parser: Parser, words: Sequence[str]) -> int:
    """Run the command on its words; returns the exit code."""
    own = list(words)
    encoder_arguments = None
    if "--" in own:
        place = own.index("--")
        own, encoder_arguments = own[:place], own[place + 1 :]
    return _encode(parser.parse(own, ("-o", "--output", "--script", "--weights")), encoder_arguments)
