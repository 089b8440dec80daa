"""Frames of clips as arrays to look at."""

from __future__ import annotations

import numpy as np
import vapoursynth as vs

from vscugan.clip.colour import decided_matrix


def rgb(clip: vs.VideoNode, width: int, height: int) -> vs.VideoNode:
    """A clip as 8-bit RGB of this size, enlarged by Spline36, in its own matrix."""
    arguments = {}
    if clip.format.color_family == vs.YUV:
        with clip.get_frame(0) as frame:
            arguments["matrix_in"] = decided_matrix(frame.props, clip.width, clip.height)[0]
    return clip.resize.Spline36(width, height, format=vs.RGB24, **arguments)


def shot(
    clip: vs.VideoNode, n: int, *, beside: vs.VideoNode | None = None, area: tuple[int, int, int, int] | None = None
) -> np.ndarray:
    """Frame ``n`` as (H, W, 3), with the same one of another clip to its right; ``area`` is x, y, width, height."""
    clips = [clip] if beside is None else [clip, beside]
    pictures = []
    for each in clips:
        with each.get_frame(n) as frame:
            picture = np.stack([np.asarray(frame[plane]) for plane in range(3)], axis=-1)
        if area:
            x, y, width, height = area
            picture = picture[y : y + height, x : x + width]
        pictures.append(picture)
    return np.concatenate(pictures, axis=1)
