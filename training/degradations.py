"""What happens to pictures before they are upscaled: resizing, blur, half chroma, noise, JPEG, video codecs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

FRAMES = 8  #: of a clip that two neighbouring frames are taken from
RESIZERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)

Pixels = NDArray[np.uint8]  # (H, W, 3)


def through_codec(frames: Sequence[Pixels], codec: str, crf: int, preset: str) -> list[Pixels]:
    """Frames of one size, even in both, through a stream in YUV 4:2:0."""
    height, width, _ = frames[0].shape
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=Fraction(24))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(crf), "preset": preset}
        if codec == "libx265":
            stream.options |= {"x265-params": "log-level=none"}
        stream.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        assert isinstance(container, av.container.InputContainer)
        return [_pixels(frame) for frame in container.decode(video=0)]


def jpeg(pixels: Pixels, quality: int, subsampling: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file).convert("RGB"))


def half_chroma(pixels: Pixels) -> Pixels:
    """Through YUV 4:2:0 without loss but that of rounding."""
    return _pixels(av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p"))


def _pixels(frame: av.VideoFrame) -> Pixels:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def noisy(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """With noise of one or three planes, as fine as a pixel or somewhat coarser."""
    height, width, _ = pixels.shape
    planes = 1 if rng.random() < 0.6 else 3
    noise = rng.normal(0, rng.uniform(1, 14), (height, width, planes))
    if rng.random() < 0.4:
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, (1, 1), (0, 1))) / 2
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def shrunk(image: Image.Image, px: int, rng: np.random.Generator) -> Image.Image:
    """A source of ``px`` a side, soft or crisp as sources are."""
    image = image.resize((px, px), RESIZERS[int(rng.integers(len(RESIZERS)))])
    if rng.random() < 0.2:
        part = rng.uniform(0.5, 0.95)
        low = max(16, round(px * part))
        first, second = rng.integers(len(RESIZERS), size=2)
        image = image.resize((low, low), RESIZERS[int(first)]).resize((px, px), RESIZERS[max(1, int(second))])
    if rng.random() < 0.15:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.3)))
    elif rng.random() < 0.08:
        image = image.filter(ImageFilter.UnsharpMask(rng.uniform(0.5, 2), int(rng.integers(30, 120)), 0))
    return image


def degraded(images: Sequence[Image.Image], px: int, rng: np.random.Generator) -> list[Pixels]:
    """The two neighbouring frames in the middle of a short clip of ``images``, as the wild has them.

    ``images``: ``FRAMES`` of one size; of a still clip the same one each time.
    """
    state = rng.bit_generator.state
    made: dict[int, Pixels] = {}
    for image in images:
        if id(image) not in made:
            rng.bit_generator.state = state  # alike for all
            made[id(image)] = np.asarray(shrunk(image, px, rng))
    frames = [made[id(image)] for image in images]
    if rng.random() < 0.15:
        frames = [noisy(frame, rng) for frame in frames]
    kind, middle = rng.random(), len(frames) // 2
    if kind < 0.5:
        codec = "libx264" if rng.random() < 0.7 else "libx265"
        crf = int(rng.integers(14, 38))
        preset = ("veryfast", "fast", "medium")[int(rng.integers(3))]
        return through_codec(frames, codec, crf, preset)[middle - 1 : middle + 1]
    frames = frames[middle - 1 : middle + 1]
    if kind < 0.65:
        quality, subsampling = int(rng.integers(20, 97)), int(rng.integers(0, 3))
        return [jpeg(frame, quality, subsampling) for frame in frames]
    if kind < 0.8:
        return [half_chroma(frame) for frame in frames]
    return frames
