"""What describes the frames to an encoder: format, colour, shape, rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import vapoursynth as vs

from vscugan.clip import colour
from vscugan.errors import ClipError

#: names of ITU-T H.273's numbers as x264, x265 and ffmpeg know them; 2 is unspecified
PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020",
             10: "smpte428", 11: "smpte431", 12: "smpte432"}  # fmt: skip
TRANSFERS = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100",
             10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12",
             16: "smpte2084", 17: "smpte428", 18: "arib-std-b67"}  # fmt: skip
MATRICES = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc",
            10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp"}  # fmt: skip
CHROMA_LOCATIONS = {0: "left", 1: "center", 2: "topleft", 3: "top", 4: "bottomleft", 5: "bottom"}
LIBAV_RANGES = (1, 2)
#: in y4m, by the shifts of the chroma planes
SUBSAMPLINGS = {(1, 1): "420", (1, 0): "422", (0, 0): "444"}


@dataclass(frozen=True, kw_only=True)
class Mastering:
    """The display that HDR was mastered on: CIE xy of red, green, blue and white, cd/m2."""

    x: tuple[float, float, float]
    y: tuple[float, float, float]
    white: tuple[float, float]
    luminance: tuple[float, float]  #: least, most

    def coded(self) -> str:
        """As x264 and x265 want it: steps of 0.00002 and of 0.0001 cd/m2, green before blue before red."""
        rgb = [f"({round(x * 50000)},{round(y * 50000)})" for x, y in zip(self.x, self.y, strict=True)]
        white = f"({round(self.white[0] * 50000)},{round(self.white[1] * 50000)})"
        low, high = (round(v * 10000) for v in self.luminance)
        return f"G{rgb[1]}B{rgb[2]}R{rgb[0]}WP{white}L({high},{low})"

    def plain(self) -> str:
        """As SVT-AV1 wants it: plain numbers in the same order."""
        rgb = [f"({x:g},{y:g})" for x, y in zip(self.x, self.y, strict=True)]
        low, high = self.luminance
        return f"G{rgb[1]}B{rgb[2]}R{rgb[0]}WP({self.white[0]:g},{self.white[1]:g})L({high:g},{low:g})"


@dataclass(frozen=True, kw_only=True)
class StreamFormat:
    """Format, colour, shape and rate of the frames that go to an encoder; None where no prop has it."""

    width: int
    height: int
    is_gray: bool
    bits: int
    subsampling: tuple[int, int]
    rate: Fraction
    sar: Fraction
    full_range: bool
    matrix: int | None
    primaries: int | None
    transfer: int | None
    chroma_location: int | None
    mastering: Mastering | None
    light: tuple[int, int] | None  #: MaxCLL, MaxFALL

    @property
    def format_name(self) -> str:
        """VapourSynth's name of the format."""
        return f"GRAY{self.bits}" if self.is_gray else f"YUV{SUBSAMPLINGS[self.subsampling]}P{self.bits}"

    def colour(self) -> dict[str, int]:
        """As libav names it for a stream."""
        return {"color_range": LIBAV_RANGES[self.full_range], "colorspace": self.matrix or 2,
                "color_primaries": self.primaries or 2, "color_trc": self.transfer or 2}  # fmt: skip

    def described(self) -> dict[str, Any]:
        """As it stands in a certificate."""
        return asdict(self) | {"rate": str(self.rate), "sar": str(self.sar), "format": self.format_name}


def _named(props: Mapping[str, Any], name: str, names: Mapping[int, str]) -> int | None:
    """A prop's value, None where it is one without a name."""
    value = props.get(name)
    return int(value) if value is not None and int(value) in names else None


def _mastering(props: Mapping[str, Any]) -> Mastering | None:
    names = ("PrimariesX", "PrimariesY", "WhitePointX", "WhitePointY", "MinLuminance", "MaxLuminance")
    try:
        x, y, white_x, white_y, low, high = (props["MasteringDisplay" + name] for name in names)
        red_green_blue_x, red_green_blue_y = tuple(map(float, x)), tuple(map(float, y))
    except (KeyError, TypeError):
        return None
    if len(red_green_blue_x) != 3 or len(red_green_blue_y) != 3:
        return None
    return Mastering(
        x=red_green_blue_x, y=red_green_blue_y,
        white=(float(white_x), float(white_y)), luminance=(float(low), float(high)),
    )  # fmt: skip


def stream_format_of(clip: vs.VideoNode, props: Mapping[str, Any], rate: Fraction) -> StreamFormat:
    """The stream format of a clip whose frames carry these props.

    Raises: ClipError for a format that y4m does not hold.
    """
    format = clip.format
    subsampling = (format.subsampling_w, format.subsampling_h)
    is_gray = format.color_family == vs.GRAY
    is_sampled_as_y4m = is_gray or (format.color_family == vs.YUV and subsampling in SUBSAMPLINGS)
    if not is_sampled_as_y4m or format.sample_type != vs.INTEGER or format.bits_per_sample > 16:
        raise ClipError(
            f"format must be gray or YUV 4:2:0, 4:2:2 or 4:4:4 of 8 to 16 bit for an encoder, got {format.name}; "
            "say --format YUV444P10, or convert at the end of your script"
        )
    light = (props.get("ContentLightLevelMax"), props.get("ContentLightLevelAverage"))
    return StreamFormat(
        width=clip.width, height=clip.height, is_gray=is_gray, bits=format.bits_per_sample,
        subsampling=(0, 0) if is_gray else subsampling, rate=rate,
        sar=Fraction(int(props.get("_SARNum", 1)) or 1, int(props.get("_SARDen", 1)) or 1),
        full_range=colour.is_full_range(props, int(format.color_family)),
        matrix=None if is_gray else _named(props, "_Matrix", MATRICES),
        primaries=_named(props, "_Primaries", PRIMARIES),
        transfer=_named(props, "_Transfer", TRANSFERS),
        chroma_location=_named(props, "_ChromaLocation", CHROMA_LOCATIONS) if subsampling == (1, 1) else None,
        mastering=_mastering(props),
        light=None if None in light else (int(light[0] or 0), int(light[1] or 0)),
    )  # fmt: skip
