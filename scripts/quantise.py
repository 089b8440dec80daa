"""Make the int8 table of the released models: ``quantise.py [make] [measure] [speed] [--models NAME ...]``.

``make`` calibrates on pictures of one set of scenes and writes vscugan/models/int8.json; ``measure`` compares whole
held-out frames, of other scenes, with fp32; ``speed`` takes the time of a frame, also with OpenVINO held to what
CPUs without AMX have. The last two write docs/figures/int8.md, and measure puts the figures into the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import vapoursynth as vs
from PIL import Image
from torch import Tensor

from vscugan.architectures import ARCHITECTURES
from vscugan.clip.area_average import area_average
from vscugan.engine.padding import network_input, picture_of
from vscugan.models import int8
from vscugan.models.registry import ModelRow, rows
from vscugan.models.weights import Weights, load_released
from vscugan.runtime.arrays import HostArrays
from vscugan.runtime.device import CPU
from vscugan.runtime.openvino_runtime import OpenVinoRuntime, native_precisions
from vscugan.runtime.protocol import PassOptions
from vscugan.runtime.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from calibration import calibrated, convolutions, costs, psnr, without, worst_psnr  # noqa: E402
from report import write_table  # noqa: E402

DATA = ROOT / "tests" / "data"
TABLE = ROOT / "vscugan" / "models" / "int8.json"
REPORT = ROOT / "docs" / "figures" / "int8.md"
CLIP, LARGE_CLIP = "sylvie_vn_640x360_crf23.mkv", "sylvie_vn_1280x720_crf8_reference.mkv"
#: Frames of the clip's second scene, and of the dissolve to it.
HELD_FRAMES = (84, 104, 140)
HELD_PICTURE = "sylvie_blue_lecturehall_640x360.png"
#: What the worst picture that layers are chosen by must have, in dB: more than held-out ones, which are not seen.
CHOSEN_PSNR = 46.0
CROP_PX = 128
ROUNDS = 9
#: Which instructions OpenVINO may use: all, and those of CPUs with VNNI but without AMX.
INSTRUCTIONS = {"AMX": "DEFAULT", "AVX-512 VNNI": "AVX512_CORE_VNNI"}


@cache
def png(name: str) -> Tensor:
    """(1, 3, H, W) in 0..1."""
    picture = np.asarray(Image.open(DATA / name).convert("RGB"), np.float32) / 255
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]


@cache
def frame(n: int, name: str = CLIP) -> Tensor:
    """(1, 3, H, W) in 0..1."""
    clip = vs.core.bs.VideoSource(str(DATA / name), cachemode=0).resize.Spline36(format=vs.RGBS)
    with clip.get_frame(n) as f:
        return torch.from_numpy(np.stack([np.asarray(f[p]) for p in range(3)])).clamp_(0, 1)[None]


def halved(x: Tensor) -> Tensor:
    return area_average(x, x.shape[2] // 2, x.shape[3] // 2)


def cut(x: Tensor, top: int, left: int) -> Tensor:
    return x[:, :, top : top + CROP_PX, left : left + CROP_PX]


def calibration_pictures() -> list[Tensor]:
    """Crops of the first scene and the sprite; some in other colours or contrast, for wider ranges."""
    uni, sprite = halved(png("sylvie_green_uni_640x360.png")), png("sylvie_green_normal_456x700_rgba.png")
    drawn, empty = frame(45), frame(0)
    crops = [
        cut(uni, 30, 120),
        cut(sprite, 60, 150),
        cut(drawn, 30, 200),
        cut(empty, 100, 20),
        cut(halved(drawn), 40, 100),
    ]
    strong = ((crops[3][:, [1, 2, 0]] - 0.5) * 1.6 + 0.5).clamp(0, 1)
    return [*crops, crops[0][:, [2, 0, 1]].flip(3), 1 - crops[2], strong]


def choosing_pictures() -> list[Tensor]:
    """Other crops of those scenes, turned and in other colours: what layers are chosen by."""
    later, large = frame(70), frame(24, LARGE_CLIP)
    return [
        cut(later[:, [1, 2, 0]], 20, 180).flip(2),
        cut(halved(later)[:, [2, 1, 0]], 20, 60),
        cut(large[:, [0, 2, 1]], 200, 500),
        cut(1 - later, 150, 250),
    ]


def held_pictures() -> dict[str, Tensor]:
    """Whole frames of scenes that nothing was calibrated or chosen by."""
    large = {"lecture hall": png(HELD_PICTURE)} | {f"frame {n}": frame(n) for n in HELD_FRAMES}
    small = {f"{name}, 320x180": halved(x) for name, x in large.items()}
    return {f"{name}, 640x360": x for name, x in large.items()} | small


def candidates(weights: Weights) -> list[str]:
    """Layers that int8 makes faster: no transposed ones, which OpenVINO computes in fp32, and none of 3 channels."""
    few = [n for n in convolutions(weights) if min(weights.tensors[f"{n}.weight"].shape[:2]) < 32]
    return [n for n in convolutions(weights) if n not in few and not weights.architecture.layer[n].transposed]


def entries() -> dict[str, list[ModelRow]]:
    """What has a row in the table, by name: a released model, or the noise levels that are in one file."""
    found: dict[str, list[ModelRow]] = {}
    for row in rows():
        name = f"{row.model}-{row.scale}x" if ARCHITECTURES[row.architecture].levels else row.name
        found.setdefault(name, []).append(row)
    return found


def make(name: str, levels: Sequence[ModelRow]) -> dict[str, Any]:
    """A row of the table: all candidates, then without those that cost most until the choosing pictures are good."""
    networks, pictures, choosing = [load_released(row) for row in levels], calibration_pictures(), choosing_pictures()
    quantisation = calibrated(networks, pictures, candidates(networks[0]))
    worst = worst_psnr(networks, quantisation, choosing)
    if worst < CHOSEN_PSNR:
        each = [int8.scaled(weights, quantisation.exponents) for weights in networks]
        lost = Counter[str]()
        for like in each:
            lost.update(costs(like, quantisation.layers, choosing))
        for layer in sorted(lost, key=lambda name: -lost[name]):
            quantisation = without(quantisation, networks, layer, pictures)
            worst = worst_psnr(networks, quantisation, choosing)
            print(f"{name}: {worst:.2f} dB without {layer}", flush=True)
            if worst >= CHOSEN_PSNR:
                break
    print(f"{name}: {len(quantisation.layers)} layers, {worst:.2f} dB", flush=True)
    return {
        "sha256": levels[0].sha256,
        "architecture": levels[0].architecture,
        "chosen_psnr": round(worst, 2),
        "worst_psnr": 0.0,
        "ranges": {layer: [r.low, r.high] for layer, r in quantisation.layers.items()},
        "exponents": quantisation.exponents,
        "biases": quantisation.biases,
    }


def runtime(weights: Weights, row: dict[str, Any], precision: str) -> OpenVinoRuntime:
    quantisation = int8.parse(row) if precision == "int8" else None
    return OpenVinoRuntime(weights, device="CPU", precision=precision, quantisation=quantisation)


def whole(network: OpenVinoRuntime, weights: Weights, x: Tensor) -> Tensor:
    """(3, scale*H, scale*W) in 0..1."""
    padded, shown = network_input(weights.architecture, network.arrays, x.numpy())
    y, _ = network.run_network(padded, Workspace(), PassOptions())
    y = y[0, :, *shown.enlarged(weights.scale).index].copy()
    return torch.from_numpy(picture_of(weights.architecture, y)).clamp_(0, 1)


def measure(levels: Sequence[ModelRow], made: dict[str, Any]) -> dict[str, Any]:
    """The row with its figures on the held-out pictures."""
    values = {}
    for row in levels:
        weights = load_released(row)
        plain, rounded = (runtime(weights, made, precision) for precision in ("fp32", "int8"))
        for name, x in held_pictures().items():
            of = f"{name}, {row.noise}" if len(levels) > 1 else name
            values[of] = psnr(whole(plain, weights, x), whole(rounded, weights, x))
    worst = min(values, key=lambda name: values[name])
    print(levels[0].model, {name: round(v, 2) for name, v in values.items()}, flush=True)
    mean = round(sum(values.values()) / len(values), 2)
    return made | {"worst_psnr": round(values[worst], 2), "mean_psnr": mean, "worst_picture": worst}


def times(name: str) -> dict[str, float]:
    """Seconds a frame of 320x180, and the median ratios to int8 in turns."""
    weights = load_released(entries()[name][0])
    x, _ = network_input(weights.architecture, HostArrays(), halved(png(HELD_PICTURE)).numpy())
    precisions = ["fp32", *(p for p in native_precisions(CPU) if p == "bf16"), "int8"]
    networks = {p: runtime(weights, read_table()[name], p) for p in precisions}
    workspaces: dict[str, Workspace] = {p: Workspace() for p in precisions}
    taken: dict[str, list[float]] = {p: [] for p in precisions}
    for n in range(ROUNDS + 2):
        for p, network in networks.items():
            start = time.perf_counter()
            network.run_network(x, workspaces[p], PassOptions())
            if n >= 2:  # the first ones compile and warm up
                taken[p].append(time.perf_counter() - start)
    ratios = {f"{p}/int8": median(a / b for a, b in zip(taken[p], taken["int8"], strict=True)) for p in precisions}
    return {p: median(values) for p, values in taken.items()} | ratios


def speed(models: list[str]) -> list[list[str]]:
    """fp32, bf16 and int8 in turn, each model in a process of its own."""
    table = [["model", "instructions", "fp32, s", "bf16, s", "int8, s", "int8 to fp32", "int8 to bf16"]]
    for name in models:
        for words, isa in INSTRUCTIONS.items():
            command = [sys.executable, __file__, "times", "--models", name]
            environment = os.environ | {"ONEDNN_MAX_CPU_ISA": isa, "OV_CPU_MAX_ISA": isa}
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            got = json.loads(done.stdout)
            figures = [f"{got[p]:.3f}" if p in got else "" for p in ("fp32", "bf16", "int8")]
            ratios = [f"{got[p]:.2f} x" if p in got else "" for p in ("fp32/int8", "bf16/int8")]
            table.append([name, words, *figures, *ratios])
            print(table[-1], flush=True)
    return table


def read_table() -> dict[str, dict[str, Any]]:
    return dict(json.loads(TABLE.read_text(encoding="utf-8"))) if TABLE.is_file() else {}


def keep(name: str, row: dict[str, Any]) -> None:
    """Write a row, one line each, in the registry's order."""
    table = read_table() | {name: row}
    lines = [f"{json.dumps(each)}: {json.dumps(table[each])}" for each in entries() if each in table]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def figures() -> list[list[str]]:
    """The table's figures, for the report."""
    table = [["model", "mean, dB", "worst, dB", "worst picture", "int8", "layers that stay"]]
    for name, levels in entries().items():
        made = read_table().get(name)
        if made is not None:
            stay = [layer for layer in candidates(load_released(levels[0])) if layer not in made["ranges"]]
            taken = "yes" if made["worst_psnr"] >= int8.LOWEST_PSNR else "refused"
            numbers = [f"{made.get('mean_psnr', 0):.1f}", f"{made['worst_psnr']:.1f}", made.get("worst_picture", "")]
            table.append([name, *numbers, taken, ", ".join(stay) or "none"])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", default=["make", "measure", "speed"])
    brought = [name for name, levels in entries().items() if levels[0].extra is None]
    parser.add_argument("--models", nargs="*", default=brought)
    arguments = parser.parse_args()
    if arguments.steps == ["times"]:
        print(json.dumps(times(arguments.models[0])))
        return
    with torch.inference_mode():
        for name, levels in entries().items():
            if name in arguments.models and "make" in arguments.steps:
                keep(name, make(name, levels))
            if name in arguments.models and "measure" in arguments.steps:
                keep(name, measure(levels, read_table()[name]))
    if "measure" in arguments.steps:
        write_table(REPORT, "figures", figures())
    if "speed" in arguments.steps:
        write_table(REPORT, "speed", speed(arguments.models))


if __name__ == "__main__":
    main()
