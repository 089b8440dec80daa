"""What a change of the inside must not change: sha256 of the frames of many calls of Upscale, one JSON object.

``frame_hashes.py > before.json``, change something, ``frame_hashes.py --against before.json``: names the calls whose
frames differ, and by how much. The bits are those of one machine and one version of each runtime.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import vapoursynth as vs
from PIL import Image

from vscugan.runtime import torch_backend

PICTURE = Path(__file__).resolve().parent.parent / "tests" / "data" / "sylvie_green_uni_640x360.png"
FRAMES = 4
#: (format, width, height, arguments) of each call, made by torch and by OpenVINO
CALLS: tuple[tuple[int, int, int, dict[str, Any]], ...] = (
    (vs.YUV420P8, 96, 64, {}),
    (vs.YUV420P8, 96, 64, {"scale": 3}),
    (vs.YUV420P8, 96, 64, {"scale": 4}),
    (vs.YUV444P10, 61, 47, {"noise": "denoise3x", "tile": 32}),
    (vs.RGBS, 61, 47, {"scale": 3, "tile": 32}),
    (vs.RGBS, 61, 47, {"scale": 4, "tile": 32}),
    (vs.RGBS, 97, 63, {"tile": [48, 32]}),
    (vs.RGBS, 97, 63, {"model": "pro", "noise": "denoise3x"}),
    (vs.RGBS, 64, 48, {"model": "pro", "scale": 3, "tile": 32}),
    (vs.RGBS, 64, 48, {"alpha": 1.3}),
    (vs.RGBS, 64, 48, {"alpha": 0.7, "tile": 32}),
    (vs.RGBS, 96, 64, {"reuse": "still", "segment": 4}),
    (vs.RGBS, 96, 64, {"reuse": "still", "segment": 4, "scale": 3, "alpha": 1.2}),
    (vs.RGBS, 96, 64, {"reuse": "still", "segment": 4, "scale": 4, "tile": 32}),
    (vs.RGBS, 96, 64, {"gates": "scene"}),
    (vs.RGBS, 96, 64, {"precision": "bf16"}),
    (vs.RGB24, 96, 64, {"width": 150, "height": 110}),
    (vs.GRAY16, 96, 64, {"scale": 1}),
    (vs.YUV422P8, 96, 64, {"scale": 1.5, "kernel": "area", "linear": 1}),
    (vs.RGBS, 31, 23, {"scale": 8}),
)


def source(format: int, width: int, height: int) -> vs.VideoNode:
    """Real art; a box moves over the lower left, and the rest stands still from frame 1 on."""
    picture = np.asarray(Image.open(PICTURE).convert("RGB")).astype(np.float32) / 255
    blank = vs.core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=FRAMES, keep=True)

    def paint(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        left = 200 if n else 260
        for p in range(3):
            plane = np.asarray(out[p])
            plane[:] = picture[100 : 100 + height, left : left + width, p]
            plane[-12:-4, 4 + 3 * n : 12 + 3 * n] = 0.1 * p
        return out

    clip = vs.core.std.ModifyFrame(blank, blank, paint)
    if format == vs.RGBS:
        return clip
    family = vs.core.get_video_format(format).color_family
    return clip.resize.Bicubic(format=format, **({} if family == vs.RGB else {"matrix": 1}))


def planes(frame: vs.VideoFrame) -> list[np.ndarray]:
    """Copies of a frame's planes."""
    return [np.array(frame[p]) for p in range(frame.format.num_planes)]


def calls() -> Iterator[tuple[str, list[np.ndarray]]]:
    """The name of each call, and the planes of all its frames."""
    # bf16 wherever it runs, as slow as it may be
    torch_backend.native_precisions = lambda device: ("fp16", "bf16")
    for backend in ("torch", "openvino"):
        for format, width, height, arguments in CALLS:
            name = f"{vs.core.get_video_format(format).name} {width}x{height} {arguments} {backend}"
            clip = vs.core.cugan.Upscale(source(format, width, height), backend=backend, **arguments)
            yield name, [plane for n in range(FRAMES) for plane in planes(clip.get_frame(n))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="what an earlier run has written")
    parser.add_argument("--planes", type=Path, help="folder for the planes, to measure by how much they differ")
    arguments = parser.parse_args()
    hashes = {}
    for number, (name, frames) in enumerate(calls()):
        hashes[name] = hashlib.sha256(b"".join(plane.tobytes() for plane in frames)).hexdigest()
        if arguments.planes is not None and arguments.against is None:
            arguments.planes.mkdir(parents=True, exist_ok=True)
            np.savez(arguments.planes / f"{number}.npz", *frames)
        elif arguments.planes is not None:
            with np.load(arguments.planes / f"{number}.npz") as before:
                most = max(float(np.abs(a.astype(float) - before[k].astype(float)).max())
                           for k, a in zip(before.files, frames, strict=True))  # fmt: skip
            print(f"{most:.3g}  {name}", file=sys.stderr)
    if arguments.against is None:
        print(json.dumps(hashes, indent=1))
        return 0
    before_hashes = json.loads(arguments.against.read_text(encoding="utf-8"))
    differing = [name for name, sha256 in hashes.items() if before_hashes.get(name) != sha256]
    print(f"{len(hashes) - len(differing)} of {len(hashes)} calls have the same frames", *differing, sep="\n")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
