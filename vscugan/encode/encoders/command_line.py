"""How an encoder is called: its options, the colour among them, and where it writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vscugan.encode.encoders import stream_format as names
from vscugan.encode.encoders.encoder_rows import Encoder
from vscugan.encode.encoders.programs import OUTPUT, Program
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.errors import ArgumentError

#: what a program of the user's own is given, besides {output}; numbers are ITU-T H.273's
PLACEHOLDERS = ("matrix", "primaries", "transfer", "range", "chromaloc", "sar", "width", "height")


def _library_options(row: Encoder, options: Sequence[str]) -> list[str]:
    """``--name value`` and ``--flag`` options of a tool as ffmpeg's options for its library.

    Raises: ArgumentError for what is not of this form.
    """
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


def _stamp(stream_format: StreamFormat, has_range: bool) -> str:
    """ffmpeg's filter that writes the colour onto the frames, and changes no sample."""
    location = stream_format.chroma_location
    stamps = {
        "colorspace": names.MATRICES.get(stream_format.matrix or 0),
        "color_primaries": names.PRIMARIES.get(stream_format.primaries or 0),
        "color_trc": names.TRANSFERS.get(stream_format.transfer or 0),
        "range": "pc" if stream_format.full_range and has_range else "tv",
        "chroma_location": None if location is None else names.CHROMA_LOCATIONS[location],
    }  # fmt: skip
    return "setparams=" + ":".join(f"{name}={value}" for name, value in stamps.items() if value)


def _pixel_format(stream_format: StreamFormat) -> str:
    base = "gray" if stream_format.is_gray else f"yuv{names.SUBSAMPLINGS[stream_format.subsampling]}p"
    return base if stream_format.bits == 8 else f"{base}{stream_format.bits}le"


def _filled(text: str, stream_format: StreamFormat, stem: str) -> str:
    sar = stream_format.sar
    values = {
        "matrix": str(stream_format.matrix or 2), "primaries": str(stream_format.primaries or 2),
        "transfer": str(stream_format.transfer or 2), "range": str(int(stream_format.full_range)),
        "chromaloc": str(stream_format.chroma_location or 0), "sar": f"{sar.numerator}:{sar.denominator}",
        "width": str(stream_format.width), "height": str(stream_format.height),
    }  # fmt: skip
    text = OUTPUT.sub(lambda found: stem + (found[1] or ".mkv"), text)
    return re.sub(r"\{(" + "|".join(PLACEHOLDERS) + r")\}", lambda found: values[found[1]], text)


def output_suffix(program: Program, arguments: Sequence[str]) -> str:
    """How the names of the encoder's files end.

    Raises: StopIteration where a program of the user's own is given no {output}, which ``check_arguments`` refuses.
    """
    if program.row is None:
        found = next(filter(None, map(OUTPUT.search, arguments)))
        return found[1] or ".mkv"
    return ".mkv" if program.is_ffmpeg else program.row.suffix


def encoder_options(program: Program, arguments: Sequence[str]) -> list[str]:
    """The options of the encoder beside the colour: the user's, and the defaults that they do not replace."""
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
    pixels = row.pixel_formats.get(stream_format.bits, _pixel_format(stream_format))
    filters, device, format = _stamp(stream_format, row.has_range), [], ["-pix_fmt", f"+{pixels}"]
    if row.uploads:
        filters, device, format = f"{filters},format={pixels},hwupload", device_options(row), []
    return [
        program.path, "-hide_banner", "-loglevel", log_level, "-y", *device, "-f", "yuv4mpegpipe", "-i", "pipe:0",
        "-map", "0:v:0", "-fps_mode", "passthrough", "-vf", filters, "-c:v", row.library, *own, *format,
        "-f", "matroska", f"file:{output}",
    ]  # fmt: skip


def device_options(row: Encoder) -> list[str]:
    """ffmpeg's options for the graphics device that frames are uploaded to: the first one."""
    if not row.uploads:
        return []
    return ["-vaapi_device", str(next(iter(sorted(Path("/dev/dri").glob("renderD*"))), "/dev/dri/renderD128"))]
