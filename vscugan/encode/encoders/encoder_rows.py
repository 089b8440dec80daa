"""The encoders that are known by name: one row each, for the tool itself and for the same library inside ffmpeg."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vscugan.encode.encoders import stream_format as names
from vscugan.encode.encoders.stream_format import StreamFormat

#: an 8-bit clip is handed over in so many bits where the encoder has them: smoother gradients in a smaller file
DEFAULT_BITS = 10
RATE_CONTROL = frozenset({"--qp", "-q", "--bitrate", "-B", "--tbr", "--rc", "--lossless"})
HARDWARE_RATE_CONTROL = frozenset({"-cq", "-qp", "-b:v", "-rc", "-global_quality", "-q:v", "-crf", "-qp_i", "-qp_p",
                                   "-rc_mode"})  # fmt: skip
TUNE = frozenset({"--tune", "-t"})


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One encoder: what it makes, which formats it takes, and its options.

    ``tool`` is the program that reads y4m by itself, None where only ffmpeg has it; ``params`` is the ffmpeg
    option that takes the library's own options, and ``native`` those that ffmpeg itself must be given. Where
    ``has_range`` is not set, ffmpeg's encoder refuses full range by name, and the container has it.
    ``defaults`` are the options that are used where the user says nothing else, each with its value; ``tool_only``
    are those for the colour that only the tool has.
    """

    name: str
    codec: str
    tool: str | None
    library: str
    suffix: str
    bits: tuple[int, ...]
    chroma: tuple[str, ...]
    arguments: Callable[[StreamFormat], list[str]]
    defaults: tuple[tuple[str, ...], ...]
    params: str | None = None
    native: tuple[str, ...] = ()
    tool_call: Callable[[Sequence[str], StreamFormat, str], list[str]] | None = None
    tool_only: tuple[str, ...] = ()
    has_range: bool = True
    #: ffmpeg's names of the formats that hardware takes, by bits; its frames may have to be uploaded first
    pixel_formats: Mapping[int, str] = field(default_factory=dict)
    uploads: bool = False

    @property
    def is_hardware(self) -> bool:
        """Whether a graphics processor encodes."""
        return bool(self.pixel_formats)

    def settings(self, arguments: Sequence[str]) -> list[str]:
        """The user's arguments behind those defaults that they leave as they are."""
        given = {_positive(argument.partition("=")[0]) for argument in arguments}
        kept = [default for default in self.defaults if not given & {_positive(default[0]), *_rivals(default[0])}]
        return [*(text for default in kept for text in default), *arguments]


def _positive(name: str) -> str:
    """An option's name without its negation."""
    return "--" + name.removeprefix("--no-") if name.startswith("--no-") else name


def _rivals(name: str) -> frozenset[str]:
    """The options that take a default's place: other ways of rate control; a tune brings all that tunes."""
    if name in HARDWARE_RATE_CONTROL:
        return HARDWARE_RATE_CONTROL
    return {"--crf": RATE_CONTROL, "--preset": frozenset[str]()}.get(name, TUNE)


def _named(flags: dict[str, str | None]) -> list[str]:
    return [text for flag, value in flags.items() if value is not None for text in (flag, value)]


def _x26x(stream_format: StreamFormat, *, range_names: tuple[str, str], mastering: str, light: str) -> list[str]:
    matrix = names.MATRICES.get(stream_format.matrix or 0)
    if matrix and range_names[1] == "pc":  # x264 spells these its own way
        matrix = {"ycgco": "YCgCo", "ictcp": "ICtCp"}.get(matrix, matrix)
    return _named({
        "--colorprim": names.PRIMARIES.get(stream_format.primaries or 0),
        "--transfer": names.TRANSFERS.get(stream_format.transfer or 0),
        "--colormatrix": matrix,
        "--range": range_names[stream_format.full_range],
        "--chromaloc": None if stream_format.chroma_location is None else str(stream_format.chroma_location),
        "--sar": f"{stream_format.sar.numerator}:{stream_format.sar.denominator}",
        mastering: stream_format.mastering.coded() if stream_format.mastering else None,
        light: "{},{}".format(*stream_format.light) if stream_format.light else None,
    })  # fmt: skip


def _x265(stream_format: StreamFormat) -> list[str]:
    return _x26x(stream_format, range_names=("limited", "full"), mastering="--master-display", light="--max-cll")


def _x264(stream_format: StreamFormat) -> list[str]:
    return _x26x(stream_format, range_names=("tv", "pc"), mastering="--mastering-display", light="--cll")


def _svt_av1(stream_format: StreamFormat) -> list[str]:
    """AV1 has no pixel shape of its own; the container has it."""
    return _named({
        "--color-primaries": str(stream_format.primaries or 2),
        "--transfer-characteristics": str(stream_format.transfer or 2),
        "--matrix-coefficients": str(stream_format.matrix or 2),
        "--color-range": str(int(stream_format.full_range)),
        "--chroma-sample-position": {0: "1", 2: "2"}.get(-1 if stream_format.chroma_location is None
                                                         else stream_format.chroma_location),
        "--mastering-display": stream_format.mastering.plain() if stream_format.mastering else None,
        "--content-light": "{},{}".format(*stream_format.light) if stream_format.light else None,
    })  # fmt: skip


#: encoders of graphics processors, as ffmpeg calls their kinds: codecs, and settings for what looks as it was drawn
HARDWARE: Mapping[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    "nvenc": (("h264", "hevc", "av1"), (("-preset", "p6"), ("-tune", "hq"), ("-rc", "vbr"), ("-cq", "19"))),
    "qsv": (("h264", "hevc", "av1"), (("-preset", "slower"), ("-global_quality", "19"))),
    "vaapi": (("h264", "hevc", "av1"), (("-rc_mode", "CQP"), ("-qp", "19"))),
    "amf": (("h264", "hevc", "av1"), (("-quality", "quality"), ("-rc", "cqp"), ("-qp_i", "19"), ("-qp_p", "19"))),
    "videotoolbox": (("h264", "hevc"), (("-q:v", "65"),)),
}


def _hardware() -> Iterator[Encoder]:
    """Their rows; of H.264 they make 8 bits."""
    for kind, (codecs, defaults) in HARDWARE.items():
        for codec in codecs:
            yield Encoder(
                name=f"{codec}_{kind}", codec=codec, tool=None, library=f"{codec}_{kind}", suffix=".mkv",
                bits=(8,) if codec == "h264" else (8, 10), chroma=("420",), arguments=lambda stream_format: [],
                defaults=defaults, pixel_formats={8: "nv12", 10: "p010le"}, uploads=kind == "vaapi",
            )  # fmt: skip


ENCODERS = {
    row.name: row
    for row in (
        Encoder(
            name="x265", codec="hevc", tool="x265", library="libx265", suffix=".hevc", bits=(8, 10, 12),
            chroma=("420", "422", "444", "gray"), arguments=_x265, params="-x265-params",
            native=("preset", "tune", "profile"),
            # aq-mode 3 gives bits to dark gradients, which band first; SAO softens lines
            defaults=(("--preset", "medium"), ("--crf", "18"), ("--aq-mode", "3"), ("--no-sao",)),
            tool_call=lambda options, stream_format, output: [
                "--y4m", "--output-depth", str(stream_format.bits), *options, "-o", output, "-"
            ],
        ),
        Encoder(
            name="x264", codec="h264", tool="x264", library="libx264", suffix=".mkv", bits=(8, 10),
            chroma=("420", "422", "444", "gray"), arguments=_x264, params="-x264-params",
            native=("preset", "tune", "profile"),
            defaults=(("--preset", "medium"), ("--crf", "17"), ("--tune", "animation")), tool_only=("--range",),
            tool_call=lambda options, stream_format, output: [
                "--demuxer", "y4m", "--output-depth", str(stream_format.bits), *options, "-o", output, "-"
            ],
        ),
        Encoder(
            name="svt-av1", codec="av1", tool="SvtAv1EncApp", library="libsvtav1", suffix=".ivf", bits=(8, 10),
            chroma=("420",), arguments=_svt_av1, params="-svtav1-params", native=("preset", "crf"),
            # tune 0 is for the eye, in place of PSNR
            defaults=(("--preset", "6"), ("--crf", "22"), ("--tune", "0")),
            tool_call=lambda options, stream_format, output: ["-i", "stdin", *options, "-b", output],
        ),
        Encoder(
            name="ffv1", codec="ffv1", tool=None, library="ffv1", suffix=".mkv", bits=(8, 9, 10, 12, 14, 16),
            chroma=("420", "422", "444", "gray"), arguments=lambda stream_format: [], has_range=False,
            # version 3 has checksums; each frame is a key frame
            defaults=(("-level", "3"), ("-g", "1"), ("-slicecrc", "1")),
        ),
        *_hardware(),
    )
}  # fmt: skip
