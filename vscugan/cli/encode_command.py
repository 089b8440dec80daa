"""``vscugan encode``: from a file to a finished file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from vscugan.cli.afterwards import Afterwards
from vscugan.cli.guard import guarded, interruption, print_error
from vscugan.cli.options import add_upscale, given_upscale, script_arguments, whole_numbers
from vscugan.cli.parser import Parser
from vscugan.cli.profiles import ENCODER_ARGUMENTS, find_profile
from vscugan.cli.progress_display import Display, Event, Logged, choose_display
from vscugan.encode.container.output_name import MUXERS
from vscugan.errors import ArgumentError
from vscugan.exits import INTERRUPTED
from vscugan.waiting import result_of

HELP = "upscale a video file and keep everything else in it; an interrupted run can be resumed"
EPILOG = """Arguments after -- go to the encoder, for example: -- --crf 16 --preset slow
With a program of your own, name its output: --encoder aomenc -- --ivf --cq-level=20 -o {output}.ivf -"""
PATH_OPTIONS = ("-o", "--output", "--script", "--weights", "--config", "--log")
#: arguments that are fields of the job by the same names
OF_THE_JOB = ("script", "encoder", "start", "end", "crop", "leave_out", "cluster", "ship", "same_bits", "dry_run")
#: each job holds a model
MOST_JOBS = 16
GO_ON = "run the same command again to go on"
NOTHING_KEPT = "no chunk was finished yet, nothing is left behind"
IS_THERE = "the output is finished"
#: the hint for an unknown option, which may be meant for the encoder
REST_HINT = "options of the encoder stand behind --, as in -- {}"


def add_arguments(parser: Parser) -> None:
    """Describe the command."""
    parser.rest_hint = REST_HINT
    parser.epilog, parser.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("sources", nargs="+", metavar="source", help="video files, folders and patterns of them, or a .txt list")
    add("-o", "--output", required=True, help="the file to write: .mkv, .mp4 or .m4v; a folder for several sources")
    absent: Any = argparse.SUPPRESS
    add("--script", type=os.path.abspath, default=absent, help="your own .vpy; it gets `source`, `clip` and `args`")
    add("--arg", action="append", default=absent, metavar="NAME=VALUE", help="an argument for the script, as vspipe -a")
    add("--encoder", default=absent, help="x265 (default), x264, svt-av1, ffv1, or a program that reads y4m")
    add("--chunk", type=float, default=absent, metavar="SECONDS", help="length of the chunks (default 10)")
    moment = "a time (90, 1:30.5) or a frame (2160f) of the source: the first that is {}"
    add("--start", default=absent, metavar="WHEN", help=moment.format("taken"))
    add("--end", default=absent, metavar="WHEN", help=moment.format("left out"))
    borders = "px that are cut off the source: left,right,top,bottom"
    add("--crop", type=whole_numbers, default=absent, metavar="L,R,T,B", help=borders)
    add("--leave-out", action="store_true", default=absent, help="leave out what the container can't hold")
    add("--profile", metavar="NAME", help="a set of options, see vscugan profiles; options beside it replace its own")
    add("--config", metavar="FILE", help="your profiles, in place of those in your folder of settings")
    to = "container of the results in a folder (default mkv)"
    add("--to", choices=[suffix[1:] for suffix in MUXERS], default="mkv", help=to)
    add("--jobs", type=int, default=1, help="how many files at once, each with a model of its own (default 1)")
    add("--cluster", default=absent, metavar="ADDRESS", help="a Ray cluster that makes the chunks, see vscugan cluster")
    add("--ship", action="store_true", default=absent, help="bring the source to nodes that don't see its path")
    add("--same-bits", action="store_true", default=absent, help="refuse nodes whose results differ in the last bits")
    dry = "show what would be done and kept, and estimate time and size from a few frames; writes nothing"
    add("--dry-run", action="store_true", default=absent, help=dry)
    add("--resume", action="store_true", help="resume the run before; options left out are as they were there")
    add("--restart", action="store_true", help="delete the run before, and begin anew")
    add("--overwrite", action="store_true", help="replace outputs that exist, of other sources or options")
    add("--keep-work", action="store_true", help="keep the work folder after the end")
    add("--log", type=os.path.abspath, metavar="FILE", help="add what happens to a text file, with times")
    after = 'a program to run at the end, with its arguments; {code} is the exit code: "notify-send done {code}"'
    add("--on-done", metavar="PROGRAM", help=after)
    add("--json", action="store_true", help="report everything as JSON, one event a line")
    add_upscale(parser)


def _given(arguments: argparse.Namespace, encoder_arguments: list[str] | None) -> dict[str, Any]:
    """The fields of the job that were given on the command line."""
    given: dict[str, Any] = {"overwrite": arguments.overwrite, "keep_work": arguments.keep_work}
    given |= {name: getattr(arguments, name) for name in OF_THE_JOB if hasattr(arguments, name)}
    if hasattr(arguments, "chunk"):
        given["chunk_s"] = arguments.chunk
    if hasattr(arguments, "arg"):
        given["script_arguments"] = script_arguments(arguments.arg)
    if options := given_upscale(arguments):
        given["options"] = options
    if encoder_arguments is not None:
        given["encoder_arguments"] = encoder_arguments
    return given


def _encode_one(source: str, given: dict[str, Any], arguments: argparse.Namespace, display: Display) -> int:
    """One file; Ctrl-C and errors say what is kept."""
    from vscugan.encode import supervise
    from vscugan.encode.job.encode_job import EncodeJob
    from vscugan.encode.job.resume import resumed
    from vscugan.encode.worker_process import WorkerProcess

    job = EncodeJob(source=os.path.abspath(source), output=os.path.abspath(arguments.output))
    job = resumed(job, given) if arguments.resume else replace(job, **given)
    job.check()
    supervise.check_output(job)
    failures: list[str] = []
    is_done = False

    def listen(event: Event) -> None:
        nonlocal is_done
        is_done = is_done or event["event"] == "done"
        display(event)
        if event["event"] == "error":
            failures.append(event["message"])

    try:
        with ThreadPoolExecutor(1) as lane, WorkerProcess() as worker:
            code = result_of(lane.submit(supervise.encode, job, listen, worker, restart=arguments.restart))
    except KeyboardInterrupt as error:
        unfinished = GO_ON if supervise.has_chunks(job.work_folder) else NOTHING_KEPT
        return _interrupted(error, display, IS_THERE if is_done else unfinished)
    display.close()
    for message in failures:
        print_error("encode", message)
    return code


def _encode_season(given: dict[str, Any], arguments: argparse.Namespace, display: Display) -> int:
    """Many files into a folder: one that fails is reported, and the next one follows."""
    from vscugan.encode.job.encode_job import EncodeJob
    from vscugan.encode.season.find_sources import find_sources
    from vscugan.encode.season.season import Season

    if arguments.resume:
        raise ArgumentError("resume must be left out for several files, got --resume; the same command goes on")
    output = Path(os.path.abspath(arguments.output))
    if output.suffix.lower() in MUXERS and not output.is_dir():
        raise ArgumentError(f"output must be a folder for several files, got {output.name!r}; name a folder")
    jobs = [
        EncodeJob(source=str(source), output=f"{output / place}.{arguments.to}", **given)
        for source, place in find_sources(arguments.sources, output)
    ]
    season = Season(jobs, display, at_once=arguments.jobs, restart=arguments.restart)
    try:
        code = season.run()
    except KeyboardInterrupt as error:
        return _interrupted(error, display, GO_ON)
    finally:
        display({"event": "summary", "files": [outcome.to_json() for outcome in season.outcomes]})
    display.close()
    for outcome in season.outcomes:
        if outcome.message:
            print_error("encode", f"{os.path.basename(outcome.source)!r}: {outcome.message}")
    return code


def _interrupted(error: KeyboardInterrupt, display: Display, hint: str) -> int:
    text, code = interruption(error)
    display({"event": "interrupted", "code": code})
    display.close()
    print_error("encode", f"{text}; {hint}")
    return code


def _read(parser: Parser, argv: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """The arguments with those of the profile, and the fields of the job that they give.

    Raises: ArgumentError.
    """
    own, encoder_arguments = list(argv), None
    if "--" in own:
        place = own.index("--")
        own, encoder_arguments = own[:place], own[place + 1 :]
    arguments = parser.parse(own, PATH_OPTIONS)
    described: dict[str, Any] = {}
    if arguments.profile is not None:
        profile = find_profile(arguments.profile, arguments.config)
        given = {name: getattr(arguments, name.replace("-", "_")) for name in parser.given(own, PATH_OPTIONS)}
        if encoder_arguments is not None:
            given[ENCODER_ARGUMENTS] = encoder_arguments
        overridden = profile.overridden(given)
        arguments = parser.parse([*profile.arguments(parser, overridden), *own], PATH_OPTIONS)
        from_profile = profile.encoder_arguments()
        if encoder_arguments is None and ENCODER_ARGUMENTS not in overridden:
            encoder_arguments = from_profile
        described = profile.described(overridden)
    elif arguments.config is not None:
        raise ArgumentError(f"config must be given with a profile, got {arguments.config!r} alone; say --profile, too")
    return arguments, _given(arguments, encoder_arguments) | {"profile": described}


def _encode(job: dict[str, Any], arguments: argparse.Namespace, display: Display) -> int:
    """One file or many; what is raised is logged."""
    from vscugan.encode.season.find_sources import is_season

    try:
        if is_season(arguments.sources, arguments.output):
            return _encode_season(job, arguments, display)
        return _encode_one(arguments.sources[0], job, arguments, display)
    except Exception as error:
        if isinstance(display, Logged):
            display.log_error(error)
        raise
    finally:
        display.close()


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    arguments, job = _read(parser, argv)
    if arguments.restart and job.get("dry_run"):
        raise ArgumentError("restart must be left out of a dry run, got --restart; say one of both")
    if not 1 <= arguments.jobs <= MOST_JOBS:
        raise ArgumentError(f"jobs must be 1 to {MOST_JOBS}, got {arguments.jobs}; each holds a model of its own")
    after = None if arguments.on_done is None else Afterwards(arguments.on_done)
    display = choose_display(as_json=arguments.json, log=arguments.log)
    if after is None:
        return _encode(job, arguments, display)
    code = guarded("encode", lambda: _encode(job, arguments, display), as_json=arguments.json)
    if code not in INTERRUPTED.values():
        after.run(code)
    return code
