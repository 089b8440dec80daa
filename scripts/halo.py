"""What a smaller halo costs: ``halo.py MODEL [--scale N] [--halo PX ...] [--tile PX] [--size WIDTHxHEIGHT]``.

Prints a table of the differences between a picture in tiles and the whole of it, in codes of 8 bit, the worst of the
art in tests/data. MODEL is a model's name or a weight file. RRDBNet takes minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vscugan.engine.engine import Engine
from vscugan.settings import validate

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from report import markdown  # noqa: E402

PICTURES = (
    "sylvie_green_uni_640x360.png",
    "sylvie_blue_lecturehall_640x360.png",
    "sylvie_green_normal_456x700_rgba.png",
)


def crop(name: str, width: int, height: int) -> NDArray[np.float32]:
    """The middle of a picture, (3, H, W) in 0..1; what is transparent is green."""
    image = Image.open(ROOT / "tests" / "data" / name).convert("RGBA")
    opaque = Image.alpha_composite(Image.new("RGBA", image.size, (120, 160, 120, 255)), image).convert("RGB")
    left, top = (opaque.width - width) // 2, (opaque.height - height) // 2
    pixels = np.asarray(opaque.crop((left, top, left + width, top + height)), np.float32) / 255
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def upscaled(x: NDArray[np.float32], **arguments: Any) -> NDArray[np.float32]:
    """(3, H, W) -> (3, scale*H, scale*W)."""
    engine = Engine(validate(**arguments))
    out = np.empty((3, x.shape[1] * engine.scale, x.shape[2] * engine.scale), np.float32)
    engine.upscale(x, list(out))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--scale", type=int)
    parser.add_argument("--halo", type=int, nargs="+", default=[8, 16, 24, 32, 48, 64, 96], help="px of the picture")
    parser.add_argument("--tile", type=int, default=64)
    parser.add_argument("--size", default="224x160")
    parser.add_argument("--backend", default="auto")
    given = parser.parse_args()
    what = "weights" if Path(given.model).is_file() else "model"
    arguments = {what: given.model, "scale": given.scale, "backend": given.backend, "precision": "fp32"}
    pictures = [crop(name, *map(int, given.size.split("x"))) for name in PICTURES]
    whole = [upscaled(x, tile=0, **arguments) for x in pictures]
    table = [["halo, px", "largest, codes of 8 bit", "99.9 %", "mean", "off by more than 1 code"]]
    for halo in given.halo:
        tiled = (upscaled(x, tile=given.tile, halo=halo, **arguments) for x in pictures)
        codes = [255 * np.abs(a - b) for a, b in zip(tiled, whole, strict=True)]
        figures = np.max([(c.max(), np.quantile(c, 0.999), c.mean(), 100 * (c > 1).mean()) for c in codes], axis=0)
        largest, most, mean, wrong = figures
        table.append([str(halo), f"{largest:.3f}", f"{most:.3f}", f"{mean:.4f}", f"{wrong:.2f} %"])
    print(markdown(table))


if __name__ == "__main__":
    main()
