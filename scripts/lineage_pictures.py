"""The pictures that models are compared on: real art, text and bokeh drawn over it, and what makes sources worse.

A truth is 640x360, and its source half of it by area averaging. Everything here gives the same bits on each run.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vscugan.encode.encoders.programs import find_ffmpeg

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from quality import Picture, averaged, frames_of, spline36  # noqa: E402

CLIP = "sylvie_vn_1280x720_crf8_reference.mkv"
HEIGHT, WIDTH = 360, 640
CRF, HELD_FRAMES, KEPT_FRAME = 35, 12, 6
JPEG_QUALITY, VERY_LOW_QUALITY = 30, 15
BLUR_RADIUS_PX = 9
GAMMA = 2.2

#: y, size in px, text
LINES = ((250, 32, "Welcome"), (288, 20, "late in autumn"), (316, 15, "1, 2, 3: the end of it"))
#: (y, x, radius) of the lights, in px of the truth
LIGHTS = ((62, 80, 22), (96, 210, 16), (150, 330, 26), (74, 420, 18), (190, 120, 20), (230, 480, 24), (128, 540, 14))
LIGHT, RIM_PX = np.array((1.0, 0.86, 0.6), np.float32), 5


def eight_bit(picture: Picture) -> NDArray[np.uint8]:
    """(H, W, 3)."""
    return np.asarray(np.rint(255 * picture.clip(0, 1).transpose(1, 2, 0)), np.uint8)


def in_floats(pixels: NDArray[np.uint8]) -> Picture:
    """(H, W, 3) uint8 as a picture."""
    return np.asarray(np.ascontiguousarray(pixels.transpose(2, 0, 1)) / np.float32(255))


def drawn_text(picture: Picture) -> Picture:
    """Three sizes of white text with a dark outline, as subtitles are."""
    image = Image.fromarray(eight_bit(picture))
    draw = ImageDraw.Draw(image)
    for top, size, text in LINES:
        draw.text(
            (WIDTH // 2, top), text, "white", ImageFont.load_default(size), "ma", stroke_width=2, stroke_fill="#202020"
        )
    return in_floats(np.asarray(image))


def drawn_bokeh(picture: Picture) -> Picture:
    """The picture out of focus: a disc as blur, in linear light, and lights as discs with soft rims."""
    y, x = np.mgrid[: picture.shape[1], : picture.shape[2]]
    ring = np.arange(-BLUR_RADIUS_PX, BLUR_RADIUS_PX + 1)
    disc = (ring[:, None] ** 2 + ring**2 <= BLUR_RADIUS_PX**2).astype(np.float32)
    padded = torch.nn.functional.pad(torch.from_numpy(picture**GAMMA)[:, None], [BLUR_RADIUS_PX] * 4, mode="reflect")
    blurred = torch.nn.functional.conv2d(padded, torch.from_numpy(disc / disc.sum())[None, None])[:, 0].numpy()
    for top, left, radius in LIGHTS:
        inside = np.clip((radius - np.hypot(y - top, x - left)) / RIM_PX + 0.5, 0, 1).astype(np.float32)
        blurred = blurred + 0.5 * inside * (LIGHT[:, None, None] ** GAMMA - blurred)
    return np.asarray(blurred ** (1 / GAMMA), np.float32)


def jpeg(picture: Picture, quality: int = JPEG_QUALITY) -> Picture:
    """Through a JPEG file with chroma of half the size."""
    file = io.BytesIO()
    Image.fromarray(eight_bit(picture)).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return in_floats(np.asarray(Image.open(file).convert("RGB")))


def down_and_up(picture: Picture, part: float = 2 / 3) -> Picture:
    """To a part of the size by area averaging, and back by Spline36."""
    height, width = picture.shape[1:]
    return spline36(averaged(picture, round(height * part), round(width * part)), height, width)


def h264(pictures: Sequence[Picture], crf: int = CRF) -> list[Picture]:
    """Frames of a clip of 24 fps through an x264 stream at a crf."""
    _, height, width = pictures[0].shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "24"]
    exact = ["-sws_flags", "bicubic+accurate_rnd+full_chroma_int+bitexact"]
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/clip.mkv"
        x264 = ["-c:v", "libx264", "-preset", "medium", "-crf", str(crf), "-pix_fmt", "yuv420p", "-threads", "1"]
        ffmpeg([*raw, "-i", "-", *exact, *x264, path], b"".join(eight_bit(p).tobytes() for p in pictures))
        pixels = ffmpeg(["-i", path, *exact, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
    return [in_floats(frame) for frame in np.frombuffer(pixels, np.uint8).reshape(len(pictures), height, width, 3)]


def held(picture: Picture) -> Picture:
    """The middle of half a second of x264 in which the picture stands still."""
    return h264([picture] * HELD_FRAMES)[KEPT_FRAME]


def ffmpeg(arguments: list[str], stdin: bytes = b"") -> bytes:
    """Run ffmpeg; returns what it wrote to stdout."""
    command = [find_ffmpeg(), "-hide_banner", "-v", "error", "-y", *arguments]
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True).stdout


def very_low(picture: Picture) -> Picture:
    """Half the detail and a strong JPEG, as pictures that were passed on many times have them."""
    return jpeg(down_and_up(picture, 1 / 2), VERY_LOW_QUALITY)


DEGRADATIONS: Mapping[str, Callable[[Picture], Picture]] = {
    "clean": lambda picture: picture,
    "crf35": held,
    "down-up": down_and_up,
    "jpeg30": jpeg,
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is looked at: a part of a frame of the 1280x720 clip, what is drawn on it, and what the sheet shows."""

    frame: int
    top: int
    left: int
    shown: tuple[int, int]  #: top and left in the truth, of what the sheet shows
    drawn: Callable[[Picture], Picture] | None = None
    before: Callable[[Picture], Picture] | None = None  #: what is done to the source before its degradation


SUBJECTS: Mapping[str, Subject] = {
    "floor texture": Subject(frame=10, top=360, left=0, shown=(236, 202)),
    "lines of a face": Subject(frame=40, top=0, left=300, shown=(92, 226)),
    "very low quality": Subject(frame=130, top=0, left=300, shown=(90, 258), before=very_low),
    "text": Subject(frame=130, top=360, left=640, shown=(246, 248), drawn=drawn_text),
    "bokeh": Subject(frame=10, top=0, left=0, shown=(146, 52), drawn=drawn_bokeh),
}


@cache
def truth(subject: str) -> Picture:
    """(3, 360, 640) in 0..1."""
    row = SUBJECTS[subject]
    (frame,) = frames_of(CLIP, [row.frame])
    picture = np.ascontiguousarray(frame[:, row.top : row.top + HEIGHT, row.left : row.left + WIDTH])
    return picture if row.drawn is None else row.drawn(picture)


@cache
def source(subject: str, degradation: str) -> Picture:
    """(3, 180, 320) in 0..1."""
    picture = averaged(truth(subject), HEIGHT // 2, WIDTH // 2)
    before = SUBJECTS[subject].before
    return DEGRADATIONS[degradation](picture if before is None else before(picture))
