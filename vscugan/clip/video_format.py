"""Formats of clips, as VapourSynth numbers and names them, and the way from a clip to its output."""

from __future__ import annotations

from dataclasses import dataclass

from vscugan.errors import ArgumentError

GRAY, RGB, YUV = 1, 2, 3
INTEGER, FLOAT = 0, 1


@dataclass(frozen=True, kw_only=True)
class VideoFormat:
    """A constant video format, as VapourSynth describes it."""

    color_family: int
    sample_type: int
    bits: int
    subsampling_w: int
    subsampling_h: int

    @property
    def id(self) -> int:
        """VapourSynth's number of the format (VS_MAKE_VIDEO_ID)."""
        family, sample = self.color_family << 28, self.sample_type << 24
        return family | sample | self.bits << 16 | self.subsampling_w << 8 | self.subsampling_h

    @classmethod
    def from_id(cls, number: int) -> VideoFormat:
        """The format behind VapourSynth's number."""
        return cls(
            color_family=number >> 28 & 15,
            sample_type=number >> 24 & 15,
            bits=number >> 16 & 255,
            subsampling_w=number >> 8 & 255,
            subsampling_h=number & 255,
        )

    @property
    def name(self) -> str:
        """VapourSynth's name of the format."""
        depth = str(self.bits) if self.sample_type == INTEGER else {16: "H", 32: "S"}.get(self.bits, "")
        if self.color_family != YUV:
            family, bits = ("RGB", 3 * self.bits) if self.color_family == RGB else ("GRAY", self.bits)
            return f"{family}{bits if self.sample_type == INTEGER else depth}"
        ratio = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440", (2, 0): "411", (2, 2): "410"}
        subsampling = (self.subsampling_w, self.subsampling_h)
        return f"YUV{ratio.get(subsampling, 'ssw{}ssh{}'.format(*subsampling))}P{depth}"

    @property
    def is_supported(self) -> bool:
        """Whether the resizer converts it: 8 to 16 bit integer, half or single float."""
        bits = range(8, 17) if self.sample_type == INTEGER else (16, 32)
        subsampled = self.subsampling_w or self.subsampling_h
        return (
            self.color_family in (GRAY, RGB, YUV)
            and self.sample_type in (INTEGER, FLOAT)
            and self.bits in bits
            and max(self.subsampling_w, self.subsampling_h) <= 2
            and not (subsampled and self.color_family != YUV)
        )


RGBS = VideoFormat(color_family=RGB, sample_type=FLOAT, bits=32, subsampling_w=0, subsampling_h=0)
GRAYS = VideoFormat(color_family=GRAY, sample_type=FLOAT, bits=32, subsampling_w=0, subsampling_h=0)


@dataclass(frozen=True, kw_only=True)
class Downscale:
    """The step from the network's size to the output's (width, height)."""

    width: int
    height: int
    kernel: str
    linear: bool  #: in linear light, else on coded values


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """From the clip to the output: formats, sizes (width, height), and the downscale, None where there is none."""

    source: VideoFormat
    source_size: tuple[int, int]
    target: VideoFormat
    size: tuple[int, int]
    downscale: Downscale | None


def output_format(source: VideoFormat, number: int | None) -> VideoFormat:
    """The output's format for the ``format`` argument.

    Raises: ArgumentError.
    """
    if number is None:
        return source
    wanted = VideoFormat.from_id(number)
    if number <= 0 or not wanted.is_supported or wanted.id != number:
        raise ArgumentError(
            f"format must be a Gray, RGB or YUV format of 8 to 16 bit, half or single, got {number}; "
            "use one such as vs.YUV420P10"
        )
    return wanted
