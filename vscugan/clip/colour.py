"""Colour policy: how a clip goes to RGBS and back, by the props of each frame.

Source of the numbers: ITU-T H.273, as VapourSynth's frame props use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vscugan.errors import ArgumentError, ClipError

Props = Mapping[str, int]
#: A call of the resizer: function and arguments; names that begin with _ are frame props to set first.
ResizeCall = tuple[str, dict[str, int | str]]

GRAY, RGB, YUV = 1, 2, 3
INTEGER, FLOAT = 0, 1
#: Chroma is resampled by this kernel, in float.
KERNEL = "Spline36"

MATRIX_RGB, MATRIX_709, MATRIX_UNSPECIFIED, MATRIX_170M = 0, 1, 2, 6
#: What the resizer can turn into RGB: 709, FCC, 470bg, 170m, 240m, YCgCo, 2020ncl, 2020cl,
#: chromaticity-derived ncl and cl, ICtCp
KNOWN_MATRICES = (1, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14)


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


def output_format(source: VideoFormat, number: int | None, width: int, height: int) -> VideoFormat:
    """The output's format for the ``format`` argument and the output's size.

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
    step_w, step_h = 1 << wanted.subsampling_w, 1 << wanted.subsampling_h
    if width % step_w or height % step_h:
        raise ArgumentError(
            f"format must fit the output's size {width}x{height}, got one whose width goes by {step_w} "
            f"and height by {step_h}; use a 4:4:4 format, or crop or pad the clip first"
        )
    return wanted


def decided_matrix(props: Props, width: int, height: int) -> tuple[int, bool]:
    """The matrix of a YUV frame of this size, and whether it had to be decided by the size.

    SD (below 1280 wide and at most 576 high) is 170m, all else 709, as players guess.
    Raises: ClipError for a matrix that the resizer does not know.
    """
    matrix = props.get("_Matrix", MATRIX_UNSPECIFIED)
    if matrix in (MATRIX_RGB, MATRIX_UNSPECIFIED):
        return (MATRIX_170M if width < 1280 and height <= 576 else MATRIX_709), True
    if matrix not in KNOWN_MATRICES:
        known = ", ".join(map(str, KNOWN_MATRICES))
        raise ClipError(f"_Matrix must be one of {known}, got {matrix}; set it right with std.SetFrameProps")
    return matrix, False


def is_full_range(props: Props, format: VideoFormat) -> bool:
    """Whether the frame's range is full: _Range (R74, 1 = full), else _ColorRange (0 = full), else by family."""
    if "_Range" in props:
        return props["_Range"] == 1
    if "_ColorRange" in props:
        return props["_ColorRange"] == 0
    return format.color_family == RGB


def _range(props: Props, format: VideoFormat) -> str:
    return "full" if is_full_range(props, format) else "limited"


def to_rgb(props: Props, format: VideoFormat, width: int, height: int) -> ResizeCall | None:
    """The call that makes RGBS (GRAYS from gray) of a source frame; None where it is that already."""
    if format in (RGBS, GRAYS):
        return None
    target = GRAYS if format.color_family == GRAY else RGBS
    arguments: dict[str, int | str] = {"format": target.id, "range_in_s": _range(props, format)}
    if format.color_family == YUV:
        # set as a prop: the resizer refuses a YUV frame that is marked as RGB, whatever matrix_in says
        arguments["_Matrix"] = decided_matrix(props, width, height)[0]
    if format.color_family == GRAY:
        arguments["range_s"] = "full"
    return KERNEL, arguments


def from_rgb(props: Props, source: VideoFormat, target: VideoFormat, width: int, height: int) -> ResizeCall | None:
    """The call that makes the output's format of RGBS, by the props of the source frame of this size."""
    if target == RGBS:
        return None
    arguments: dict[str, int | str] = {"format": target.id}
    same_family = (target.color_family == RGB) == (source.color_family == RGB)
    arguments["range_s"] = _range(props if same_family else {}, target)
    if target.color_family != RGB:
        arguments["matrix"] = decided_matrix(props, width, height)[0]
    if "_ChromaLocation" in props and (target.subsampling_w or target.subsampling_h):
        arguments["chromaloc"] = props["_ChromaLocation"]
    return KERNEL, arguments
