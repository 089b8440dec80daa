"""Frames of clips as arrays to look at."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import vapoursynth as vs
from PIL import Image, ImageDraw, ImageFont

from vscugan.clip.colour import decided_matrix
from vscugan.clip.error_text import first_line
from vscugan.clip.size import sample_aspect_ratio
from vscugan.errors import FrameError
from vscugan.waiting import result_of

SMALLEST_STRIP_PX = 16
ROUNDING_PX = 2
#: looked at for each frame that is wanted, as (width, height)
CANDIDATES, THUMBNAIL = 12, (32, 18)
#: standard deviation below which a thumbnail is blank
BLANK_CODES = 8


def rgb(clip: vs.VideoNode, width: int, height: int, *, is_upscaled: bool = False) -> vs.VideoNode:
    """A clip as 8-bit RGB of this size, enlarged by Spline36, in its own matrix.

    Frames of Upscale say which matrix they have; for others it may have to be decided.
    """
    arguments = {}
    if clip.format.color_family == vs.YUV and not is_upscaled:
        with fetch(clip, 0) as frame:
            arguments["matrix_in"] = decided_matrix(frame.props, clip.width, clip.height)[0]
    return clip.resize.Spline36(width, height, format=vs.RGB24, **arguments)


def fetch(clip: vs.VideoNode, n: int) -> vs.VideoFrame:
    """Frame ``n``, waited for so that Ctrl-C comes through.

    Raises: FrameError.
    """
    try:
        frame = result_of(clip.get_frame_async(n))
    except vs.Error as error:
        raise FrameError(first_line(error)) from error
    assert isinstance(frame, vs.VideoFrame)
    return frame


def shot(clip: vs.VideoNode, n: int) -> np.ndarray:
    """Frame ``n`` as (H, W, 3).

    Raises: FrameError.
    """
    with fetch(clip, n) as frame:
        return np.stack([np.asarray(frame[plane]) for plane in range(3)], axis=-1)


def side_by_side(images: Mapping[str, np.ndarray]) -> np.ndarray:
    """Images of one size in a row, each below its label."""
    height, width = next(iter(images.values())).shape[:2]
    strip = max(SMALLEST_STRIP_PX, height // 30)
    row = Image.new("RGB", (width * len(images), strip))
    draw = ImageDraw.Draw(row)
    for place, label in enumerate(images):
        draw.text((place * width + strip // 4, strip // 8), label, "white", ImageFont.load_default(strip * 0.7))
    return np.concatenate([np.asarray(row), np.concatenate(list(images.values()), axis=1)])


def display_size(source: vs.VideoNode, result: vs.VideoNode) -> tuple[int, int]:
    """The (width, height) with square pixels that shows a result in its source's display shape.

    No side gets shorter, and a difference that comes from rounding to whole pixels stays.
    """
    with fetch(source, 0) as frame:
        shape = sample_aspect_ratio(frame.props) * Fraction(source.width, source.height)
    width, height = round(result.height * shape), round(result.width / shape)
    if min(abs(width - result.width), abs(height - result.height)) <= ROUNDING_PX:
        return result.width, result.height
    return max(width, result.width), max(height, result.height)


def different_frames(clip: vs.VideoNode, count: int) -> list[int]:
    """Up to ``count`` frames that look least alike, in order; blank ones, such as black, come last.

    Of frames at equal distances the next one is always that which is farthest from those taken.
    Raises: FrameError.
    """
    candidates = min(clip.num_frames, count * CANDIDATES)
    numbers = [(2 * k + 1) * clip.num_frames // (2 * candidates) for k in range(candidates)]
    small = rgb(clip, *THUMBNAIL)
    thumbnails = np.stack([shot(small, n) for n in numbers]).astype(np.float32).reshape(candidates, -1)
    detail = thumbnails.std(axis=1)
    weight = np.where(detail < BLANK_CODES, 1e-6, 1)
    distance = np.full(candidates, np.inf)
    taken = [int(np.argmax(detail))]
    while len(taken) < min(count, candidates):
        distance = np.minimum(distance, np.abs(thumbnails - thumbnails[taken[-1]]).mean(axis=1))
        distance[taken] = -1
        taken.append(int(np.argmax(distance * weight)))
    return sorted(numbers[k] for k in taken)
