"""``vscugan verify``: check a result by its certificate, and compute random frames of it again."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vscugan.cli.options import script_arguments
from vscugan.cli.parser import Parser
from vscugan.encode.job.json_types import printable
from vscugan.errors import ArgumentError

HELP = "check a result against its certificate, and compute random frames of it again"
DIFFERS = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    add = parser.add_argument
    add("result", type=os.path.abspath, help="a file that vscugan encode wrote")
    add("--source", type=os.path.abspath, help="the file that was encoded (default: beside the result, by its name)")
    add("--script", type=os.path.abspath, help="the script that encode ran; it is run again")
    add("--arg", action="append", default=[], metavar="NAME=VALUE", help="an argument that the script was given")
    add("--weights", type=os.path.abspath, help="your own weight file (default: where it was)")
    add("--frames", type=int, default=5, help="how many frames (default 5)")
    add("--seed", type=int, help="seed of the random choice, to get the same frames again")
    add("--psnr", type=float, help="least PSNR of a coded frame, dB (default 30; 20 where the bits are the same)")
    add("--json", action="store_true", help="report as JSON")


def _verify(arguments: argparse.Namespace) -> int:
    if arguments.frames < 1:
        raise ArgumentError(f"frames must be at least 1, got {arguments.frames}; leave it out for 5")
    from vscugan.encode.certificate.certified_job import Request
    from vscugan.encode.certificate.verification import verify

    report = verify(
        Request(result=Path(arguments.result), source=arguments.source, script=arguments.script,
                arguments=script_arguments(arguments.arg), weights=arguments.weights, frames=arguments.frames,
                seed=arguments.seed, least_psnr=arguments.psnr)
    )  # fmt: skip
    if arguments.json:
        print(json.dumps(report))
        return 0 if report["is_right"] else DIFFERS
    print(f"file: sha256 {'as in the certificate' if report['file_is_same'] else 'DIFFERS from the certificate'}")
    for difference in report["wrong"]:
        print(f"DIFFERENT: {difference}")
    for change in report["changed"]:
        print(f"note: {change}")
    for frame in report["frames"]:
        print(_line(frame))
    print("right" if report["is_right"] else "WRONG")
    return 0 if report["is_right"] else DIFFERS


def _line(frame: dict[str, Any]) -> str:
    """One compared frame, for people."""
    if error := frame.get("error"):
        return f"frame {frame['frame']}: not computed: {printable(error)}: WRONG"
    same = "same bits" if frame["same"] else f"DIFFERENT bits, about {frame['computed_psnr']:.0f} dB"
    share = "no detail to compare" if frame["detail"] is None else f"with {frame['detail']:.0%} of the detail"
    verdict = "" if frame["is_right"] else ": WRONG"
    if frame["faults"] == ["psnr"]:
        verdict += f", below {frame['least_psnr']:g} dB (--psnr)"
    return f"frame {frame['frame']}: computed again: {same}; coded at {frame['psnr']:.1f} dB, {share}{verdict}"


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    return _verify(parser.parse(argv, ("--source", "--script", "--weights")))
