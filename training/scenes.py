"""Pictures to learn from: characters and clip art over painted or drawn backgrounds, lines, hatching, gradients, text.

They are composed of the art in a folder (``materials``) and of what is drawn here. Every scene follows from its seed.
"""

from __future__ import annotations

import colorsys
import hashlib
import io
import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".svg")
SMALLEST_PX, LARGEST_PX = 160, 4096  #: a side of a picture that is used
SVG_PX = 640  #: the longer side that vector art is drawn at
HELD_OUT = 32  #: one file in so many is held out: it is drawn for evaluation alone
#: parts of the names of files that are nearest to anime
PAINTED = ("portraits", "renpy", "story", "backgrounds", "Faces", "people", "StoryScene", "animals")
PAINTED_WEIGHT = 6.0  #: how many times as often these are taken
TEXTS = (
    "こんにちは、世界", "第三話 「約束」", "もう一度だけ", "Real-time", "The End", "next episode",
    "ありがとう", "夏の終わりに",
    "What are you doing?", "12:45", "字幕测试 漢字", "Chapter 4", "待って…", "I'll be right back.",
)  # fmt: skip

Pixels = NDArray[np.uint8]  # (H, W, 3)


@dataclass(frozen=True, kw_only=True)
class Materials:
    """Files of art: those with alpha are put over backgrounds, the others are backgrounds; fonts for text."""

    figures: tuple[Path, ...]
    backgrounds: tuple[Path, ...]
    fonts: tuple[Path, ...]


def _is_held_out(path: Path) -> bool:
    return int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:4]) % HELD_OUT == 0


@lru_cache(maxsize=256)
def opened(path: Path) -> Image.Image | None:
    """A file as RGBA, None where it is of no use."""
    try:
        if path.suffix == ".svg":
            command = ["rsvg-convert", "-a", "-w", str(SVG_PX), "-h", str(SVG_PX), str(path)]
            data = io.BytesIO(subprocess.run(command, capture_output=True, check=True, timeout=20).stdout)
            image = Image.open(data)
        else:
            image = Image.open(path)
        if min(image.size) < SMALLEST_PX or max(image.size) > LARGEST_PX:
            return None
        return image.convert("RGBA")
    except (OSError, subprocess.SubprocessError, ValueError, Image.DecompressionBombError):
        return None


def _kind(path: Path) -> str:
    """Of a file: figure, background, or nothing; by its header alone."""
    if path.suffix == ".svg":
        return "figure"
    try:
        with Image.open(path) as image:
            if min(image.size) < SMALLEST_PX or max(image.size) > LARGEST_PX:
                return ""
            if image.mode in ("RGBA", "LA", "P", "PA"):
                return "figure"
            return "background" if image.mode == "RGB" else ""
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""


def materials(folder: Path, held_out: bool) -> Materials:
    """The art in a folder and those below it, in the order of its names; held-out files alone, or the others."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    kinds = {p: _kind(p) for p in files if _is_held_out(p) == held_out}
    fonts = sorted(p for p in folder.rglob("*") if p.suffix in (".ttf", ".otf", ".ttc") and p.is_file())
    return Materials(
        figures=tuple(p for p, kind in kinds.items() if kind == "figure"),
        backgrounds=tuple(p for p, kind in kinds.items() if kind == "background"),
        fonts=tuple(fonts),
    )


@cache
def _font(path: Path | None, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size) if path is None else ImageFont.truetype(str(path), size)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    r, g, b = colorsys.hsv_to_rgb(rng.random(), rng.random() ** 1.5, rng.random() ** 0.6)
    return int(255 * r), int(255 * g), int(255 * b)


def gradient(rng: np.random.Generator, px: int) -> Image.Image:
    """Two or three colours, blended along a line or around a point."""
    y, x = np.mgrid[:px, :px] / px
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * math.pi)
        t = (math.cos(angle) * (x - 0.5) + math.sin(angle) * (y - 0.5)) / 1.4 + 0.5
    else:
        t = np.hypot(x - rng.uniform(-0.2, 1.2), y - rng.uniform(-0.2, 1.2)) / 1.4
    stops = np.array([_colour(rng) for _ in range(int(rng.integers(2, 4)))], np.float64)
    at = np.clip(t, 0, 1) * (len(stops) - 1)
    low = np.minimum(at.astype(int), len(stops) - 2)
    blend = (at - low)[..., None]
    return Image.fromarray(np.rint(stops[low] * (1 - blend) + stops[low + 1] * blend).astype(np.uint8)).convert("RGBA")


def draw_shapes(image: Image.Image, rng: np.random.Generator) -> None:
    """Outlined curves, polygons, hatching and screentone, with edges as smooth as an artist's."""
    factor = 2
    px = image.width * factor
    layer = Image.new("RGBA", (px, px))
    draw = ImageDraw.Draw(layer)
    for _ in range(int(rng.integers(3, 16))):
        line, fill = _colour(rng), _colour(rng)
        if rng.random() < 0.6:
            line = (int(rng.integers(50)),) * 3
        width = int(rng.integers(1, 7)) * factor
        kind = int(rng.integers(5))
        cx, cy = rng.uniform(0, px, 2)
        size = px * rng.uniform(0.04, 0.35)
        if kind == 0:
            t = np.linspace(0, 1, 60)[:, None]
            p = rng.uniform(-1, 1, (4, 2)) * size + (cx, cy)
            curve = (1 - t) ** 3 * p[0] + 3 * t * (1 - t) ** 2 * p[1] + 3 * t**2 * (1 - t) * p[2] + t**3 * p[3]
            draw.line([tuple(q) for q in curve], fill=(*line, 255), width=width, joint="curve")
        elif kind == 1:
            box = (cx - size, cy - size * rng.uniform(0.3, 1), cx + size, cy + size * rng.uniform(0.3, 1))
            draw.ellipse(box, fill=(*fill, 255), outline=(*line, 255), width=width)
        elif kind == 2:
            angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 9))))
            corners = [(cx + size * math.cos(a) * rng.uniform(0.4, 1), cy + size * math.sin(a)) for a in angles]
            draw.polygon(corners, fill=(*fill, 255), outline=(*line, 255), width=width)
        elif kind == 3:
            pitch, angle = rng.uniform(3, 14) * factor, rng.uniform(0, math.pi)
            dx, dy = math.cos(angle), math.sin(angle)
            for k in np.arange(-size / 2, size / 2, pitch):
                x0, y0 = cx - dy * k, cy + dx * k
                ends = (x0 - dx * size / 2, y0 - dy * size / 2, x0 + dx * size / 2, y0 + dy * size / 2)
                draw.line(ends, fill=(*line, 255), width=max(1, width // 2))
        else:
            pitch, radius = rng.uniform(5, 12) * factor, rng.uniform(0.8, 3) * factor
            for x in np.arange(cx - size / 2, cx + size / 2, pitch):
                for y in np.arange(cy - size / 2, cy + size / 2, pitch):
                    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*line, 255))
    image.alpha_composite(layer.resize(image.size, Image.Resampling.BOX))


def draw_text(image: Image.Image, rng: np.random.Generator, fonts: Sequence[Path]) -> None:
    """A line or two, outlined as subtitles are, or plain."""
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 4))):
        text = TEXTS[int(rng.integers(len(TEXTS)))]
        plain = not fonts or (text.isascii() and rng.random() < 0.5)
        font = _font(None if plain else fonts[int(rng.integers(len(fonts)))], int(rng.integers(14, 64)))
        at = tuple(rng.uniform(-0.1, 0.8, 2) * image.width)
        bright = rng.random() < 0.7
        inner = (255, 255, 255) if bright else _colour(rng)
        draw.text(at, text, (*inner, 255), font, stroke_width=int(rng.integers(0, 4)), stroke_fill=(*_colour(rng), 255))


def _bokeh(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Out of focus, with discs of light."""
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(1, 8)))
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    for _ in range(int(rng.integers(0, 12))):
        x, y, r = *rng.uniform(0, image.width, 2), rng.uniform(4, 50)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(*_colour(rng), int(rng.integers(40, 160))))
    image.alpha_composite(layer.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3))))
    return image


def _recoloured(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """With planes exchanged, a curve and a tint: other colours of the same drawing."""
    pixels = np.asarray(image, np.float32) / 255
    colour = pixels[..., :3][..., rng.permutation(3) if rng.random() < 0.4 else [0, 1, 2]]
    colour = np.clip(colour ** rng.uniform(0.6, 1.6) * rng.uniform(0.7, 1.1, 3), 0, 1)
    if rng.random() < 0.15:
        colour = np.repeat(colour.mean(-1, keepdims=True), 3, -1)
    return Image.fromarray(np.rint(255 * np.concatenate([colour, pixels[..., 3:]], -1)).astype(np.uint8))


def _cut(image: Image.Image, rng: np.random.Generator, px: int) -> Image.Image:
    """A square of ``px`` out of a picture that is resized to at least that."""
    least = px / min(image.size)
    factor = max(least, float(rng.uniform(0.5, 1.2)))
    size = (max(px, round(image.width * factor)), max(px, round(image.height * factor)))
    x, y = int(rng.integers(size[0] - px + 1)), int(rng.integers(size[1] - px + 1))
    across, down = image.width / size[0], image.height / size[1]
    box = (x * across, y * down, (x + px) * across, (y + px) * down)
    return image.resize((px, px), Image.Resampling.LANCZOS, box, reducing_gap=2)


def _some(paths: Sequence[Path], rng: np.random.Generator) -> Image.Image | None:
    """One of them; a folder has the weight of the square root of its number, and more where it is of painted art."""
    folders = _by_folder(tuple(paths))
    painted = [PAINTED_WEIGHT if any(word in str(files[0]) for word in PAINTED) else 1.0 for files in folders]
    weights = np.sqrt([len(files) for files in folders]) * painted
    files = folders[int(rng.choice(len(folders), p=weights / weights.sum()))]
    return opened(files[int(rng.integers(len(files)))])


@cache
def _by_folder(paths: tuple[Path, ...]) -> list[list[Path]]:
    found: dict[Path, list[Path]] = {}
    for path in paths:
        found.setdefault(path.parent, []).append(path)
    return list(found.values())


def scene(art: Materials, rng: np.random.Generator, px: int) -> list[Image.Image]:
    """Layers of a picture of ``px`` a side, RGBA: the background, then what may move over it."""
    kind = rng.random()
    ground = None
    if art.backgrounds and kind < 0.75:
        found = _some(art.backgrounds, rng)
        ground = None if found is None else _recoloured(_cut(found, rng, px), rng)
    if ground is None:
        ground = gradient(rng, px)
        if kind < 0.95:
            draw_shapes(ground, rng)
    ground.putalpha(255)
    if rng.random() < 0.12:
        ground = _bokeh(ground, rng)
    layers = [ground]
    for _ in range(int(rng.integers(1, 5))):
        found = _some(art.figures, rng) if art.figures else None
        if found is None:
            continue
        factor = px * rng.uniform(0.35, 2.0) / max(found.size)
        size = (max(8, round(found.width * factor)), max(8, round(found.height * factor)))
        figure = _recoloured(found.resize(size, Image.Resampling.LANCZOS, reducing_gap=2), rng)
        if rng.random() < 0.5:
            figure = figure.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        layer = Image.new("RGBA", (px, px))
        x, y = rng.uniform(-0.4, 0.6, 2) * px
        layer.paste(figure, (int(x), int(y)))
        layers.append(layer)
    if rng.random() < 0.25:
        layer = Image.new("RGBA", (px, px))
        draw_shapes(layer, rng)
        layers.append(layer)
    if rng.random() < 0.25:
        layer = Image.new("RGBA", (px, px))
        draw_text(layer, rng, art.fonts)
        layers.append(layer)
    return layers


def composed(layers: Sequence[Image.Image], moved: Sequence[tuple[int, int]] | None = None) -> Image.Image:
    """The layers over each other, each moved by so many px, RGB."""
    image = layers[0].copy()
    for k, layer in enumerate(layers[1:]):
        dx, dy = moved[k] if moved else (0, 0)
        if dx or dy:
            shifted = Image.new("RGBA", image.size)
            shifted.paste(layer, (dx, dy))
            layer = shifted
        image.alpha_composite(layer)
    return image.convert("RGB")
