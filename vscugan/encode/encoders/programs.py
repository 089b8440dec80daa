"""The encoders as they are found here, and how they are called."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vscugan.encode.encoders import stream_format as names
from vscugan.encode.encoders.encoder_rows import ENCODERS, Encoder
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.errors import ArgumentError, EncoderError

#: what a program of your own is given, besides {output}; numbers are ITU-T H.273's
PLACEHOLDERS = ("matrix", "primaries", "transfer", "range", "chromaloc", "sar", "width", "height")
_OUTPUT = re.compile(r"\{output\}(\.[A-Za-z0-9]+)?")
#: options of an encoder that would read, write or skip something else than its chunk
OWNED = {"-o", "--output", "-i", "--input", "--y4m", "--demuxer", "--muxer", "--seek", "--frames", "-f", "-b", "-n",
         "--skip", "--input-csp", "--input-res", "--fps", "--pass", "--stats", "--recon", "-r", "--analysis-save",
         "--analysis-load", "--csv", "--dump-yuv", "--passes", "-w", "-h", "--help"}  # fmt: skip
PROBE_S = 20


@dataclass(frozen=True, kw_only=True)
class Program:
    """An encoder as it was found on this machine."""

    name: str
    path: str
    is_ffmpeg: bool
    version: str
    row: Encoder | None  #: None for a program of the user's own


@functools.cache
def find_ffmpeg() -> str:
    """imageio-ffmpeg's ffmpeg, whose version is known, else the one on PATH.

    Raises: EncoderError.
    """
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        pass
    if found := shutil.which("ffmpeg"):
        return found
    raise EncoderError("ffmpeg must be installed, got none; run pip install imageio-ffmpeg")


def _output(command: list[str]) -> str:
    try:
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_S, check=False, text=True,
            errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout + run.stderr


@functools.cache
def ffmpeg_libraries() -> frozenset[str]:
    """The encoders inside the ffmpeg."""
    lines = _output([find_ffmpeg(), "-hide_banner", "-encoders"]).splitlines()
    return frozenset(line.split()[1] for line in lines if re.match(r" [VAS][.A-Z]{5} \S", line))


def _version(path: str, flag: str) -> str:
    text = _output([path, flag]).strip()
    return text.splitlines()[0].strip() if text else "unknown"


def find_encoder(name: str) -> Program:
    """The encoder of this name: its own tool on PATH, else inside ffmpeg, else any program that reads y4m.

    Raises: EncoderError naming what there is.
    """
    row = ENCODERS.get(name)
    if row is None:
        path = shutil.which(name)
        if path is None:
            raise EncoderError(
                f"encoder must be {', '.join(ENCODERS)} or a program on PATH that reads y4m, got {name}; "
                "run vscugan doctor to see which there are"
            )
        return Program(name=name, path=path, is_ffmpeg=False, version=_version(path, "--version"), row=None)
    if row.tool and (path := shutil.which(row.tool)):
        return Program(name=name, path=path, is_ffmpeg=False, version=_version(path, "--version"), row=row)
    ffmpeg = find_ffmpeg()
    if row.library not in ffmpeg_libraries():
        raise EncoderError(
            f"encoder {name} must be installed, got no {row.tool or row.library} on PATH and none in ffmpeg; "
            "run pip install imageio-ffmpeg, or use another --encoder"
        )
    return Program(name=name, path=ffmpeg, is_ffmpeg=True, version=_version(ffmpeg, "-version"), row=row)


def check_arguments(program: Program, arguments: Sequence[str]) -> None:
    """Refuse what the user's own arguments must not say.

    Raises: ArgumentError.
    """
    if program.row is None:
        if not any(_OUTPUT.search(argument) for argument in arguments):
            raise ArgumentError(
                f"arguments of {program.name} must name {{output}}, got none that does; "
                f"say for example -- --crf 20 -o {{output}}.ivf -"
            )
        return
    for argument in arguments:
        if argument.partition("=")[0] in OWNED and program.row.params:
            raise ArgumentError(
                f"encoder arguments must not name input, output or passes, got {argument}; "
                "vscugan feeds the encoder chunk by chunk"
            )


def check_format(program: Program, stream_format: StreamFormat) -> None:
    """Refuse a format that the encoder does not take.

    Raises: ArgumentError naming one that it does.
    """
    row = program.row
    if row is None:
        return
    chroma = "gray" if stream_format.is_gray else names.SUBSAMPLINGS[stream_format.subsampling]
    if stream_format.bits in row.bits and chroma in row.chroma:
        return
    bits = max((b for b in row.bits if b <= max(stream_format.bits, 10)), default=row.bits[-1])
    wanted = chroma if chroma in row.chroma else "420"
    instead = f"GRAY{bits}" if wanted == "gray" else f"YUV{wanted}P{bits}"
    raise ArgumentError(f"format must be one that {row.name} takes, got {stream_format.format_name}; say --format {instead}")


def unsupported_light(program: Program, stream_format: StreamFormat) -> tuple[str, ...]:
    """What HDR tells of its display and light that the encoder has no option for, in words."""
    has_options = program.row is not None and program.row.params is not None
    if has_options or not (stream_format.mastering or stream_format.light):
        return ()
    return (f"mastering display and light levels are left out, since {program.name} is not told them",)


def _library_options(row: Encoder, options: Sequence[str]) -> list[str]:
    """``--name value`` and ``--flag`` options of a tool as ffmpeg's options for its library."""
    own: list[str] = []
    params: list[str] = []
    texts = list(options)
    while texts:
        name = texts.pop(0)
        if not name.startswith("--") or len(name) == 2:
            raise ArgumentError(
                f"encoder arguments must be --name value for {row.library} of ffmpeg, got {name}; "
                f"use long names, or install {row.tool}"
            )
        name, equals, value = name[2:].partition("=")
        if not equals and texts and not texts[0].startswith("--"):
            value = texts.pop(0)
        elif not equals:
            value = "1"
        if name in row.native:
            own += [f"-{name}", value]
        else:
            params.append(f"{name}={re.sub(r"([\\':])", r'\\\1', value)}")
    assert row.params
    return [*own, row.params, ":".join(params)] if params else own


def _stamp(stream_format: StreamFormat, tells_range: bool) -> str:
    """ffmpeg's filter that writes the colour onto the frames, and changes no sample."""
    stamps = {
        "colorspace": names.MATRICES.get(stream_format.matrix or 0),
        "color_primaries": names.PRIMARIES.get(stream_format.primaries or 0),
        "color_trc": names.TRANSFERS.get(stream_format.transfer or 0),
        "range": "pc" if stream_format.full_range and tells_range else "tv",
        "chroma_location": None if stream_format.chroma_location is None else names.CHROMA_LOCATIONS[stream_format.chroma_location],
    }  # fmt: skip
    return "setparams=" + ":".join(f"{name}={value}" for name, value in stamps.items() if value)


def _pixel_format(stream_format: StreamFormat) -> str:
    base = "gray" if stream_format.is_gray else f"yuv{names.SUBSAMPLINGS[stream_format.subsampling]}p"
    return base if stream_format.bits == 8 else f"{base}{stream_format.bits}le"


def _filled(text: str, stream_format: StreamFormat, stem: str) -> str:
    values = {
        "matrix": str(stream_format.matrix or 2), "primaries": str(stream_format.primaries or 2),
        "transfer": str(stream_format.transfer or 2), "range": str(int(stream_format.full_range)),
        "chromaloc": str(stream_format.chroma_location or 0), "sar": f"{stream_format.sar.numerator}:{stream_format.sar.denominator}",
        "width": str(stream_format.width), "height": str(stream_format.height),
    }  # fmt: skip
    text = _OUTPUT.sub(lambda found: stem + (found[1] or ".mkv"), text)
    return re.sub(r"\{(" + "|".join(PLACEHOLDERS) + r")\}", lambda found: values[found[1]], text)


def output_suffix(program: Program, arguments: Sequence[str]) -> str:
    """How the names of the encoder's files end."""
    if program.row is None:
        found = next(filter(None, map(_OUTPUT.search, arguments)))
        return found[1] or ".mkv"
    return ".mkv" if program.is_ffmpeg else program.row.suffix


def settings(program: Program, arguments: Sequence[str]) -> list[str]:
    """What the encoder is told beside the colour: the user's arguments, and the defaults that they do not replace."""
    return program.row.settings(arguments) if program.row else list(arguments)


def command(
    program: Program, arguments: Sequence[str], stream_format: StreamFormat, output: Path, *, log_level: str = "error"
) -> list[str]:
    """The argument list that encodes y4m from stdin into ``output``, whose name ends as ``output_suffix`` says.

    The user's arguments come last, so that they win over the props. ``log_level``: ffmpeg's.
    Raises: ArgumentError.
    """
    row = program.row
    if row is None:
        stem = str(output)[: -len(output.suffix)]
        return [program.path, *(_filled(argument, stream_format, stem) for argument in arguments)]
    colour, own = row.arguments(stream_format), row.settings(arguments)
    if not program.is_ffmpeg:
        assert row.tool_call
        return [program.path, *row.tool_call([*colour, *own], stream_format, str(output))]
    if row.params is not None:
        pairs = zip(colour[::2], colour[1::2], strict=True)
        colour = [text for pair in pairs if pair[0] not in row.tool_only for text in pair]
        quiet = ["--log-level", "error"] if row.name == "x265" and "log-level" not in " ".join(arguments) else []
        own = _library_options(row, [*colour, *quiet, *own])
    return [
        program.path, "-hide_banner", "-loglevel", log_level, "-y", "-f", "yuv4mpegpipe", "-i", "pipe:0",
        "-map", "0:v:0", "-fps_mode", "passthrough", "-vf", _stamp(stream_format, row.tells_range), "-c:v", row.library, *own,
        "-pix_fmt", f"+{_pixel_format(stream_format)}", "-f", "matroska", f"file:{output}",
    ]  # fmt: skip
