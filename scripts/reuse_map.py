"""Draw over a clip's frames what ``reuse="still"`` would compute of them; nothing is upscaled.

``reuse_map.py clip.mkv -o folder [--first 0] [--last N] [--scale 2] [--segment 24] [--threshold 3]`` writes a PNG for
each frame: what is computed keeps its colours and has a frame, what is reused is dimmed; a red border means the whole
frame, a yellow one that it also gave new gates.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import vapoursynth as vs
from PIL import Image, ImageDraw

from vscugan.architectures import ARCHITECTURES
from vscugan.clip.colour import to_rgb
from vscugan.clip.video_format import VideoFormat
from vscugan.reuse.areas import BorderCost
from vscugan.reuse.decisions import Decision, Decisions

sys.path.append(str(Path(__file__).resolve().parent))
from report import array_of

DIMMED = 0.35
AREA, WHOLE, NEW_GATES = (80, 220, 255), (255, 60, 60), (255, 220, 60)


def as_upscale_reads_it(clip: vs.VideoNode) -> vs.VideoNode:
    """RGBS by the resizer call of ``core.cugan.Upscale``, for a clip whose colour props are the same in every frame."""
    f = clip.format
    format = VideoFormat(
        color_family=int(f.color_family),
        sample_type=int(f.sample_type),
        bits=f.bits_per_sample,
        subsampling_w=f.subsampling_w,
        subsampling_h=f.subsampling_h,
    )
    with clip.get_frame(0) as frame:
        props = {name: value for name, value in frame.props.items() if isinstance(value, int)}
    for kernel, arguments in to_rgb(props, format, clip.width, clip.height):
        assumed = {name: value for name, value in arguments.items() if name.startswith("_")}
        rest = {name: value for name, value in arguments.items() if not name.startswith("_")}
        clip = getattr((clip.std.SetFrameProps(**assumed) if assumed else clip).resize, kernel)(**rest)
    return clip


def drawn(source: np.ndarray, decision: Decision, n: int) -> Image.Image:
    """A picture (3, H, W) in 0..1, with the areas that are computed."""
    picture = np.rint(255 * source.clip(0, 1).transpose(1, 2, 0)).astype(np.uint8)
    whole = decision.base == n
    pixels = picture if whole else (picture * DIMMED).astype(np.uint8)
    for area in decision.areas:
        pixels[area.index] = picture[area.index]
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for area in decision.areas:
        draw.rectangle((area.columns.start, area.rows.start, area.columns.stop - 1, area.rows.stop - 1), outline=AREA)
    if whole:
        colour = NEW_GATES if decision.gate_source == n else WHOLE
        draw.rectangle((0, 0, image.width - 1, image.height - 1), outline=colour, width=4)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int)
    parser.add_argument("--scale", type=int, default=2, choices=(2, 3, 4))
    parser.add_argument("--segment", type=int, default=24)
    parser.add_argument("--threshold", type=float, default=3.0)
    arguments = parser.parse_args()
    source = vs.core.bs.VideoSource(str(arguments.clip))
    clip = as_upscale_reads_it(source)
    last = clip.num_frames - 1 if arguments.last is None else arguments.last
    border = BorderCost.of(ARCHITECTURES[f"upcunet-{arguments.scale}x"])
    decisions = Decisions(segment=arguments.segment, threshold=arguments.threshold, border=border, blocks=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for n in range(arguments.first, last + 1):
        while (k := decisions.next_undecided(n)) is not None:
            with clip.get_frame(k) as frame:
                cut = frame.props.get("_SceneChangePrev")
                picture = array_of(frame)
            decisions.add(k, picture, None if cut is None else bool(cut))
        decision = decisions[n]
        drawn(picture, decision, n).save(arguments.output / f"{n:06d}.png")
        whole = " whole" if decision.base == n else ""
        print(f"{n}: {1 - decision.reused:.1%} computed in {len(decision.areas)} areas{whole}", flush=True)


if __name__ == "__main__":
    main()
