"""An encoder on two grey frames before the start: does it take its arguments and this stream format, in its own words?

Encoders inside ffmpeg pass over options that they don't know, with a warning and exit code 0.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vscugan.encode.encoders import y4m
from vscugan.encode.encoders.command_line import command, output_suffix
from vscugan.encode.encoders.programs import Program
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.encode.job.work_folder import create_file
from vscugan.errors import ArgumentError, CuganError, EncoderError
from vscugan.exits import ending
from vscugan.files import disk_error, is_full

FRAMES = 2
#: an encoder that needs longer than this for them, and has reported no fault, is not judged
TRIAL_S = 60.0
#: how x264, x265, SVT-AV1 and ffmpeg say that they pass over an option or its value
_IGNORED = re.compile(
    r"unknown option|unrecognized option|error parsing option|unprocessed (token|argument)|invalid value for|"
    r"has not been used for any stream",
    re.IGNORECASE,
)
_FAULT = re.compile(
    r"^(?!\w*\[(warn|info)).*(error|invalid|unable|must be|out of range|not supported|unsupported|no such)",
    re.IGNORECASE,
)
_ANYTHING = re.compile(r"\S")
#: what stands before a message: ffmpeg's "[libx264 @ 0x55b62cb17300] ", on Windows "[libx264 @ 000001c2a0b040c0] ",
#: x265's "x265 [error]: ", "Svt[error]: "
_SPEAKER = re.compile(r"^(\[[^\]]* @ \w+\] |\w+ ?\[\w+\]: )+")


def _lines(text: str, pattern: re.Pattern[str]) -> list[str]:
    """The first sentence of each line that matches, without its speaker."""
    found = [line.strip() for line in text.splitlines() if pattern.search(line)]
    return [_SPEAKER.sub("", line).partition(". ")[0].rstrip(".") for line in found]


def reason(text: str) -> str | None:
    """An encoder's own reason for its failure, of all that it wrote; None where it wrote nothing."""
    faults = _lines(text, _IGNORED) + _lines(text, _FAULT)
    return faults[0] if faults else next(reversed(_lines(text, _ANYTHING)), None)


def _grey(stream_format: StreamFormat) -> bytes:
    """One frame in the middle of the range, as y4m."""
    samples = stream_format.width * stream_format.height
    if not stream_format.is_gray:
        across, down = stream_format.subsampling
        samples += 2 * (stream_format.width >> across) * (stream_format.height >> down)
    middle = 1 << stream_format.bits - 1
    return y4m.FRAME + middle.to_bytes(1 if stream_format.bits == 8 else 2, "little") * samples


def _run(
    call: Sequence[str], stream_format: StreamFormat, log: Path, started: Callable[[Any], None]
) -> tuple[int | None, str]:
    """Exit code, None where it took too long, and all that the encoder wrote."""
    try:
        with create_file(log) as file:
            process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=file, stderr=file)
    except OSError as error:
        raise disk_error(log, error) from error
    started(process)
    overdue = threading.Timer(TRIAL_S, process.kill)
    overdue.start()
    try:
        assert process.stdin
        with contextlib.suppress(OSError):  # it has ended; why is in the log
            process.stdin.write(y4m.header(stream_format))
            for _ in range(FRAMES):
                process.stdin.write(_grey(stream_format))
        with contextlib.suppress(OSError):
            process.stdin.close()
        code = process.wait()
    finally:
        is_overdue = not overdue.is_alive()
        overdue.cancel()
    return None if is_overdue else code, log.read_text(encoding="utf-8", errors="replace")


def try_encoder(
    program: Program, arguments: Sequence[str], stream_format: StreamFormat, folder: Path,
    started: Callable[[Any], None],
) -> None:  # fmt: skip
    """Refuse arguments that the encoder passes over or fails with; what it writes is left in ``folder``.

    ``started`` is handed the process, so that a stop can end it. Raises: ArgumentError, EncoderError, DiskError.
    """
    output = folder / f"trial{output_suffix(program, arguments)}"

    def trial(own: Sequence[str]) -> tuple[str | None, str]:
        """Why it failed, None where it did not, and all that the encoder wrote."""
        output.unlink(missing_ok=True)
        call = command(program, own, stream_format, output, log_level="warning")
        code, text = _run(call, stream_format, output.with_suffix(".log"), started)
        is_written = output.exists() and output.stat().st_size > 0
        if is_written if code == 0 else code is None and not _lines(text, _FAULT):
            return None, text
        why = reason(text) or (ending(code) if code else "it wrote nothing")
        if is_full(folder, text):
            raise disk_error(output, OSError(why))
        return why, text

    why, text = trial(arguments)
    ignored = _lines(text, _IGNORED)
    if why is None and not ignored:
        return
    why_without, text_without = trial([]) if program.row else (None, "")
    if why is not None:
        raise _refusal(program, stream_format, why, why_without is not None)
    for line in ignored:
        if line not in _lines(text_without, _IGNORED):
            raise _refusal(program, stream_format, line, False)


def _refusal(program: Program, stream_format: StreamFormat, found: str, is_without: bool) -> CuganError:
    """The error; ``is_without``: the encoder fails without the user's arguments too."""
    if is_without:
        return EncoderError(
            f"encoder {program.name} must take {stream_format.width}x{stream_format.height} px "
            f"{stream_format.format_name}, got its answer: {found}; use another --encoder, --format or size"
        )
    return ArgumentError(
        f"encoder arguments must be those of {program.name}{' in ffmpeg' if program.is_ffmpeg else ''}, got its "
        f"answer: {found}; correct what stands behind --"
    )
