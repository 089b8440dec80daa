"""Sizes: the output's width and height, and the sample aspect ratio (SAR) that keeps the display shape true."""

from __future__ import annotations

from fractions import Fraction

from vscugan.clip.colour import Props
from vscugan.clip.video_format import VideoFormat
from vscugan.errors import ArgumentError
from vscugan.settings import LARGEST_SCALE, Settings

#: H.264 and HEVC write each side of the SAR in 16 bits.
LARGEST_SAR_SIDE = 65535


def sample_aspect_ratio(props: Props) -> Fraction:
    """A frame's SAR, width over height of a pixel; 1 where the props do not say."""
    number, by = props.get("_SARNum", 0), props.get("_SARDen", 0)
    return Fraction(number, by) if number > 0 and by > 0 else Fraction(1)


def _nearest(size: Fraction, step: int) -> int:
    """The multiple of ``step`` nearest to ``size``, at least one step; halves go up."""
    return max(1, int(size / step + Fraction(1, 2))) * step


def _refuse_between(name: str, size: int, step: int, format: VideoFormat) -> None:
    """Raise for a size that the format's subsampling forbids."""
    if size % step:
        below, above = size // step * step, size // step * step + step
        fits = f"{below} or {above}" if below else f"{above}"
        raise ArgumentError(
            f"{name} must be a multiple of {step} for {format.name}, got {size}; "
            f"use {fits}, or a format with full-resolution chroma"
        )


def output_size(
    settings: Settings, source: tuple[int, int], sar: Fraction, format: VideoFormat, file_scale: int | None = None
) -> tuple[int, int]:
    """The output's (width, height).

    A whole scale is exact; a fractional one goes to the nearest size that the format allows. Where only one of
    width and height is given, the other is the nearest that gives the display shape with square pixels.
    ``file_scale``: what the user's weights do, where no size is named.
    Raises: ArgumentError naming what fits, for a size that the format's subsampling forbids or that is more than
    16 times the source's.
    """
    steps = (1 << format.subsampling_w, 1 << format.subsampling_h)
    if not settings.sized:
        scale = Fraction(settings.scale if settings.scale is not None else file_scale or 2)
        if scale.denominator > 1:
            width, height = (_nearest(s * scale, step) for s, step in zip(source, steps, strict=True))
            return width, height
        width, height = (s * int(scale) for s in source)
    else:
        shape = sar * Fraction(*source)
        width = settings.width or _nearest((settings.height or 0) * shape, steps[0])
        height = settings.height or _nearest(width / shape, steps[1])
    for name, size, from_px, step in zip(("width", "height"), (width, height), source, steps, strict=True):
        if size > from_px * LARGEST_SCALE:
            raise ArgumentError(
                f"{name} must be at most {LARGEST_SCALE} times the source's {from_px}, got {size}; "
                f"use {from_px * LARGEST_SCALE} or less"
            )
        _refuse_between(name, size, step, format)
    return width, height


def output_sar(sar: Fraction, source: tuple[int, int], target: tuple[int, int], format: VideoFormat) -> Fraction:
    """The SAR that gives a target of this size the source's display shape.

    Sizes are whole steps of the format's subsampling. Within half a step of the true shape the source's SAR
    stays as it is, or pixels are square; else the SAR is the exact one.
    """
    shape = sar * Fraction(*source)
    width, height = target
    for plain in (sar, Fraction(1)):
        off_width = abs(width - shape * height / plain)
        off_height = abs(height - width * plain / shape)
        if 2 * off_width <= 1 << format.subsampling_w or 2 * off_height <= 1 << format.subsampling_h:
            return plain
    exact = shape * height / width
    if exact > 1:
        return 1 / (1 / exact).limit_denominator(LARGEST_SAR_SIDE)
    return exact.limit_denominator(LARGEST_SAR_SIDE)


def sar_props(props: Props, source: tuple[int, int], target: tuple[int, int], format: VideoFormat) -> dict[str, int]:
    """The SAR props to write into the output; none where the source has none and pixels stay square."""
    known = props.get("_SARNum", 0) > 0 and props.get("_SARDen", 0) > 0
    before = sample_aspect_ratio(props)
    after = output_sar(before, source, target, format)
    if after == before and (known or after == 1):
        return {}
    return {"_SARNum": after.numerator, "_SARDen": after.denominator}
