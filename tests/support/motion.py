"""Clips that move as anime does, drawn over stills and encoded as a stream; and what reuse does to them, measured."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import vapoursynth as vs
from PIL import Image, ImageDraw

from vscugan.reuse.changes import CELL_PX

DATA = Path(__file__).parent.parent / "data"
SIZE = (640, 360)
FIGURE_AT = (92, -4)
#: of the figure, in its own px
MOUTH, EYES = (187, 147), ((157, 103), (214, 102))
SKIN, LINE, INSIDE = (255, 224, 199), (88, 44, 40), (172, 62, 66)
OVERSAMPLING = 4


def _shape(picture: Image.Image, box: tuple[int, int, int, int], kind: str) -> None:
    """A mouth or closed eye in a box of the figure, with smooth edges."""
    x, y = box[0] + FIGURE_AT[0], box[1] + FIGURE_AT[1]
    size = (box[2] - box[0], box[3] - box[1])
    area = picture.crop((x, y, x + size[0], y + size[1])).resize(
        (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING), Image.Resampling.BICUBIC
    )
    draw = ImageDraw.Draw(area)
    inner = (6, 6, area.width - 7, area.height - 7)
    if kind == "eye":
        draw.ellipse(inner, fill=SKIN)
        draw.arc(inner, 20, 160, fill=LINE, width=2 * OVERSAMPLING)
    else:
        draw.ellipse(inner, fill=INSIDE, outline=LINE, width=OVERSAMPLING)
    picture.paste(area.resize(size, Image.Resampling.LANCZOS), (x, y))


def _closed_eyes(picture: Image.Image) -> None:
    for x, y in EYES:
        _shape(picture, (x - 19, y - 20, x + 19, y + 20), "eye")


def _open_mouth(picture: Image.Image, height: int) -> None:
    x, y = MOUTH
    _shape(picture, (x - 12, y - 4, x + 12, y - 4 + height), "mouth")


def talking_head(frames: int) -> list[np.ndarray]:
    """(360, 640, 3) uint8: a mouth on threes, a blink of four frames every two seconds, all else still."""
    still = Image.open(DATA / "sylvie_blue_lecturehall_640x360.png").convert("RGB")
    figure = Image.open(DATA / "sylvie_green_normal_456x700_rgba.png")
    still.paste(figure, FIGURE_AT, figure)
    pictures = []
    for n in range(frames):
        picture = still.copy()
        if height := (0, 11, 17, 11, 0, 14)[n // 3 % 6]:
            _open_mouth(picture, height)
        if n % 48 in range(20, 24):
            _closed_eyes(picture)
        pictures.append(np.asarray(picture))
    return pictures


def panning(frames: int, step: int = 3) -> list[np.ndarray]:
    """(360, 640, 3) uint8: the camera moves across an enlarged still, 3 px a frame."""
    still = (
        Image.open(DATA / "sylvie_green_uni_640x360.png").convert("RGB").resize((1280, 720), Image.Resampling.LANCZOS)
    )
    return [
        np.asarray(still.crop((100 + step * n, 150, 100 + step * n + SIZE[0], 150 + SIZE[1]))) for n in range(frames)
    ]


def encoded(path: Path, pictures: list[np.ndarray], crf: int = 18) -> Path:
    """x264 at 24 fps, BT.709, limited range."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=24, options={"crf": str(crf), "preset": "medium"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = 1
        context.color_range = 1
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            file.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        file.mux(stream.encode())
    return path


def grid_energy(frame: np.ndarray, pitch: int) -> float:
    """Energy at multiples of a pitch in the spectrum of the mean steps from column to column and row to row."""
    total = 0.0
    for axis in (1, 2):
        steps = np.abs(np.diff(frame, axis=axis)).mean(axis=(0, 3 - axis), dtype=np.float64)
        steps = steps[: len(steps) // pitch * pitch]
        spectrum = np.abs(np.fft.rfft(steps - steps.mean())) ** 2
        total += float(spectrum[len(steps) // pitch :: len(steps) // pitch].sum())
    return total


def still_of(clip: vs.VideoNode, **arguments: Any) -> vs.VideoNode:
    return vs.core.cugan.Upscale(clip, reuse="still", segment=4, **arguments)


def flicker(frames: list[np.ndarray], part: tuple[slice, ...]) -> float:
    """Mean absolute change from frame to frame."""
    return float(np.mean([np.abs(b - a)[part].mean() for a, b in pairwise(frames)]))


def cell_means(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """As ``differences``, cell by cell."""
    height, width = a.shape[1:]
    return np.array(
        [
            [
                255 * np.abs(a - b)[:, y : y + CELL_PX, x : x + CELL_PX].mean(axis=(1, 2)).max()
                for x in range(0, width, CELL_PX)
            ]
            for y in range(0, height, CELL_PX)
        ]
    )
