"""Colour policy: how a clip goes to RGBS and back, by the props of each frame.

Source of the numbers: ITU-T H.273, as VapourSynth's frame props use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vscugan.clip.video_format import GRAY, GRAYS, RGB, RGBS, YUV, Conversion, VideoFormat
from vscugan.errors import ClipError

Props = Mapping[str, int]
#: A call of the resizer: function and arguments; names that begin with _ are frame props to set first.
ResizeCall = tuple[str, dict[str, int | str]]

#: Chroma is resampled by this kernel, in float.
KERNEL = "Spline36"
#: What the resizer calls the kernels of a downscale; it has no area averaging, which is ours.
RESIZERS = {"spline36": "Spline36", "lanczos": "Lanczos", "bicubic": "Bicubic"}

TRANSFER_709, TRANSFER_LINEAR, TRANSFER_SRGB = 1, 8, 13
#: What the resizer takes to linear light and back: all of H.273 but 12 (BT.1361 extended) and 17 (ST 428).
LINEAR_TRANSFERS = (1, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 18)
#: reserved by H.273, and unspecified
UNKNOWN_TRANSFERS = (0, 2, 3)
UNSPECIFIED = 2
#: What the resizer takes; all else is reserved or means nothing, and is as good as unspecified.
MEANINGFUL: dict[str, tuple[int, ...]] = {
    "_Primaries": (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22),
    "_Transfer": (1, 2, *range(4, 19)),
    "_ChromaLocation": tuple(range(6)),
    "_Range": (0, 1),
}
CHROMA_LEFT = 0
#: What the resizer writes itself into an output of another format.
FORMAT_PROPS = ("_Matrix", "_Range", "_ChromaLocation")
#: the resizer's default is an approximation
EXACT_TRANSFER: dict[str, int | str] = {"approximate_gamma": 0}

MATRIX_RGB, MATRIX_709, MATRIX_UNSPECIFIED, MATRIX_170M = 0, 1, 2, 6
#: What the resizer can turn into RGB: 709, FCC, 470bg, 170m, 240m, YCgCo, 2020ncl, 2020cl,
#: chromaticity-derived ncl and cl, ICtCp
KNOWN_MATRICES = (1, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14)
#: all but unspecified and XYZ (10)
_RGB_PRIMARIES = (1, 4, 5, 6, 7, 8, 9, 11, 12, 22)
#: What the resizer must know beside a matrix that is defined by the transfer or the primaries.
MATRIX_NEEDS: dict[int, dict[str, tuple[int, ...]]] = {
    10: {"_Transfer": (1, 6, 7, 14, 15)},
    12: {"_Primaries": _RGB_PRIMARIES},
    13: {"_Transfer": (1, 4, 5, 6, 7, *range(9, 19)), "_Primaries": _RGB_PRIMARIES},
    14: {"_Transfer": (16, 18), "_Primaries": (9,)},
}


def decided_matrix(props: Props, width: int, height: int) -> tuple[int, bool]:
    """The matrix of a YUV frame of this size, and whether it had to be decided by the size.

    SD (below 1280 wide and at most 576 high) is 170m, all else 709, as players guess.
    Raises: ClipError for a matrix that the resizer does not know, or not without further props.
    """
    matrix = props.get("_Matrix", MATRIX_UNSPECIFIED)
    if matrix in (MATRIX_RGB, MATRIX_UNSPECIFIED):
        return (MATRIX_170M if width < 1280 and height <= 576 else MATRIX_709), True
    if matrix not in KNOWN_MATRICES:
        known = ", ".join(map(str, KNOWN_MATRICES))
        raise ClipError(f"_Matrix must be one of {known}, got {matrix}; set it right with std.SetFrameProps")
    for name, allowed in MATRIX_NEEDS.get(matrix, {}).items():
        value = props.get(name, UNSPECIFIED)
        if value not in allowed:
            listed = f"one of {', '.join(map(str, allowed))}" if len(allowed) > 1 else allowed[0]
            raise ClipError(
                f"{name} must be {listed} where _Matrix is {matrix}, got {value}; "
                "set what is wrong with std.SetFrameProps"
            )
    return matrix, False


def corrections(props: Props, format: VideoFormat) -> dict[str, int]:
    """The props to set in place of a source frame's that the resizer refuses although they mean nothing.

    They are reserved values, values that do not exist, and a YUV matrix of RGB. A matrix of YUV is not among them:
    the picture depends on it, see ``decided_matrix``.
    """
    wrong = {name for name, known in MEANINGFUL.items() if props.get(name, known[0]) not in known}
    if format.color_family == RGB and props.get("_Matrix", MATRIX_RGB) not in (MATRIX_RGB, MATRIX_UNSPECIFIED):
        wrong.add("_Matrix")
    instead = {
        "_Primaries": UNSPECIFIED,
        "_Transfer": UNSPECIFIED,
        "_ChromaLocation": CHROMA_LEFT,
        "_Range": int(is_full_range(props, format.color_family)),
        "_Matrix": MATRIX_RGB,
    }
    return {name: instead[name] for name in sorted(wrong)}


def is_full_range(props: Props, color_family: int) -> bool:
    """Whether the frame's range is full: _Range (R74, 1 = full), else _ColorRange (0 = full), else by family."""
    if props.get("_Range") in MEANINGFUL["_Range"]:
        return props["_Range"] == 1
    if "_ColorRange" in props and "_Range" not in props:
        return props["_ColorRange"] == 0
    return color_family == RGB


def _range(props: Props, format: VideoFormat) -> str:
    return "full" if is_full_range(props, format.color_family) else "limited"


def coded_transfer(props: Props, source: VideoFormat) -> int:
    """The transfer by which a frame is coded; where the props do not say 709, and sRGB for RGB.

    Raises: ClipError for one that can't be taken to linear light.
    """
    transfer = props.get("_Transfer", 2)
    if transfer in UNKNOWN_TRANSFERS:
        return TRANSFER_SRGB if source.color_family == RGB else TRANSFER_709
    if transfer not in LINEAR_TRANSFERS:
        known = ", ".join(map(str, LINEAR_TRANSFERS))
        raise ClipError(
            f"_Transfer must be one of {known} for linear=1, got {transfer}; "
            "use linear=0, or set it right with std.SetFrameProps"
        )
    return transfer


def to_rgb(props: Props, format: VideoFormat, width: int, height: int) -> list[ResizeCall]:
    """The call that makes RGBS (GRAYS from gray) of a source frame; none where it is that already."""
    arguments: dict[str, int | str] = {**corrections(props, format)}
    if format in (RGBS, GRAYS):
        return [(KERNEL, arguments)] if arguments else []
    target = GRAYS if format.color_family == GRAY else RGBS
    arguments |= {"format": target.id, "range_in_s": _range(props, format)}
    if format.color_family == YUV:
        # set as a prop: the resizer refuses a YUV frame that is marked as RGB, whatever matrix_in says
        arguments["_Matrix"] = decided_matrix(props, width, height)[0]
    if format.color_family == GRAY:
        arguments["range_s"] = "full"
    return [(KERNEL, arguments)]


def to_linear(props: Props, source: VideoFormat) -> list[ResizeCall]:
    """The call that takes RGBS to linear light by the props of the source frame."""
    return [(KERNEL, {"transfer_in": coded_transfer(props, source), "transfer": TRANSFER_LINEAR} | EXACT_TRANSFER)]


def _output_matrix(props: Props, conversion: Conversion) -> int:
    """The matrix of a YUV or gray output; gray comes out the same by any, so it need not be a good one there."""
    try:
        return decided_matrix(props, *conversion.source_size)[0]
    except ClipError:
        if conversion.source.color_family == YUV:
            raise
        return decided_matrix({}, *conversion.source_size)[0]


def from_rgb(props: Props, conversion: Conversion) -> list[ResizeCall]:
    """The calls that make the output of RGBS, by the props of the source frame, ``corrections`` applied.

    With an area downscale the frame is at the output's size already, and linear where that is linear.
    """
    source, target, downscale = conversion.source, conversion.target, conversion.downscale
    arguments: dict[str, int | str] = {}
    if target != RGBS:
        same_family = (target.color_family == RGB) == (source.color_family == RGB)
        arguments = {"format": target.id, "range_s": _range(props if same_family else {}, target)}
        if target.color_family != RGB:
            arguments["matrix"] = _output_matrix(props, conversion)
        if "_ChromaLocation" in props and (target.subsampling_w or target.subsampling_h):
            arguments["chromaloc"] = props["_ChromaLocation"]
    if downscale is None:
        return [(KERNEL, arguments)] if arguments else []
    resized: dict[str, int | str] = {"width": downscale.width, "height": downscale.height}
    resizer = RESIZERS.get(downscale.kernel)
    if not downscale.linear:
        if resizer:  # one call, so that chroma is resampled once
            return [(resizer, arguments | resized)]
        return [(KERNEL, arguments)] if arguments else []
    coded = arguments | {"transfer_in": TRANSFER_LINEAR, "transfer": coded_transfer(props, source)} | EXACT_TRANSFER
    # three calls: the resizer is free to choose its order within one, and light must be linear for the middle one
    return [*to_linear(props, source), (resizer, resized), (KERNEL, coded)] if resizer else [(KERNEL, coded)]


def gray_of_alpha() -> list[ResizeCall]:
    """The call that makes GRAYS of an alpha clip, whose range is always full, whatever its props say."""
    props: dict[str, int | str] = {"_Range": 1, "_ChromaLocation": CHROMA_LEFT, "_FieldBased": 0}
    return [(KERNEL, props | {"format": GRAYS.id, "range_in_s": "full", "range_s": "full"})]


def alpha_format(target: VideoFormat) -> VideoFormat:
    """The format of the alpha that goes with an output of this one."""
    return replace(target, color_family=GRAY, subsampling_w=0, subsampling_h=0)


def alpha_of_gray(conversion: Conversion) -> list[ResizeCall]:
    """The call that makes the output's alpha of GRAYS."""
    target, downscale = alpha_format(conversion.target), conversion.downscale
    arguments: dict[str, int | str] = {}
    if target != GRAYS:
        arguments = {"format": target.id, "range_in_s": "full", "range_s": "full"}
    kernel = KERNEL
    if downscale is not None and downscale.kernel in RESIZERS:
        kernel = RESIZERS[downscale.kernel]
        arguments |= {"width": downscale.width, "height": downscale.height}
    return [(kernel, arguments)] if arguments else []
