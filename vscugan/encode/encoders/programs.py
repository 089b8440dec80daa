"""The encoders as they are found here, and what they are refused for."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from vscugan.encode.encoders import stream_format as names
from vscugan.encode.encoders.encoder_rows import ENCODERS, Encoder
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.errors import ArgumentError, EncoderError

#: options of an encoder that would read, write or skip something else than its chunk
OWNED = {"-o", "--output", "-i", "--input", "--y4m", "--demuxer", "--muxer", "--seek", "--frames", "-f", "-b", "-n",
         "--skip", "--input-csp", "--input-res", "--fps", "--pass", "--stats", "--recon", "-r", "--analysis-save",
         "--analysis-load", "--csv", "--dump-yuv", "--passes", "-w", "-h", "--help"}  # fmt: skip
PROBE_S = 20
#: the placeholder of the output in a user's own program's arguments, with the ending that it gives the file
OUTPUT = re.compile(r"\{output\}(\.[A-Za-z0-9]+)?")


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
def ffmpeg_libraries(ffmpeg: str) -> frozenset[str]:
    """The encoders inside an ffmpeg."""
    lines = _output([ffmpeg, "-hide_banner", "-encoders"]).splitlines()
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
            own = ", ".join(row.name for row in ENCODERS.values() if not row.is_hardware)
            raise EncoderError(
                f"encoder must be {own}, one of a GPU such as hevc_nvenc, or a program on PATH that reads y4m, got "
                f"{name}; "
                "run vscugan doctor to see which there are"
            )
        return Program(name=name, path=path, is_ffmpeg=False, version=_version(path, "--version"), row=None)
    if row.tool and (path := shutil.which(row.tool)):
        return Program(name=name, path=path, is_ffmpeg=False, version=_version(path, "--version"), row=row)
    candidates = list(filter(None, (find_ffmpeg(), shutil.which("ffmpeg"))))
    if row.is_hardware:  # the user's own fits the drivers
        candidates.reverse()
    ffmpeg = next((each for each in candidates if row.library in ffmpeg_libraries(each)), None)
    if ffmpeg is None:
        way_out = "put an ffmpeg on PATH that has it" if row.is_hardware else "run pip install imageio-ffmpeg"
        raise EncoderError(
            f"encoder {name} must be installed, got no {row.tool or row.library} on PATH and none in ffmpeg; "
            f"{way_out}, or use another --encoder"
        )
    return Program(name=name, path=ffmpeg, is_ffmpeg=True, version=_version(ffmpeg, "-version"), row=row)


def works(program: Program, device: Sequence[str]) -> bool:
    """Whether an encoder inside ffmpeg codes a black frame here; ``device``: ffmpeg's options for it."""
    assert program.row
    row = program.row
    filters = ["-vf", f"format={row.pixel_formats[8]},hwupload"] if row.uploads else []
    command = [
        program.path, "-v", "error", *device, "-f", "lavfi", "-i", "color=s=256x256:r=1:d=1", *filters, "-frames:v",
        "1", "-c:v", row.library, "-f", "null", "-",
    ]  # fmt: skip
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PROBE_S,
            check=False,
        ).returncode == 0  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False


def check_arguments(program: Program, arguments: Sequence[str]) -> None:
    """Refuse what the user's own arguments must not say.

    Raises: ArgumentError.
    """
    if program.row is None:
        if not any(OUTPUT.search(argument) for argument in arguments):
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
    fitting = chroma if chroma in row.chroma else "420"
    instead = f"GRAY{bits}" if fitting == "gray" else f"YUV{fitting}P{bits}"
    raise ArgumentError(
        f"format must be one that {row.name} takes, got {stream_format.format_name}; say --format {instead}"
    )


def unsupported_light(program: Program, stream_format: StreamFormat) -> tuple[str, ...]:
    """For people: what HDR says of its display and light that the encoder has no option for."""
    has_options = program.row is not None and program.row.params is not None
    if has_options or not (stream_format.mastering or stream_format.light):
        return ()
    return (f"mastering display and light levels are left out, since {program.name} is not told them",)
