"""Train a network on the files of ``teacher.py``: ``train.py DATA STATE --minutes 60``; goes on from STATE.

The learning rate falls along a cosine over ``--steps`` in all. STATE is saved every few minutes and at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

sys.path.append(str(Path(__file__).resolve().parent))
from families import FAMILIES, LEVELS, SHARES, Student

WARM_UP, EMA, SAVED_EVERY_S = 200, 0.999, 120
RIM_PX = 8  #: of a patch that the loss leaves out where it does not lie at a picture's border
CELL_PX = 16
DETAILED = 0.75  #: of the patches lie around detail, in proportion to it
AT_BORDER = 0.06  #: of the patches lie at each side of a picture
EDGES, CHANGE = 0.5, 1.0  #: weights of the losses on gradients and on the change from frame to frame
SMALL = 1e-3  #: of the Charbonnier loss


def detail_of(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much the teacher changes each cell of a source, and how uneven it is."""
    change = np.abs(result[::2, ::2].astype(np.int16) - source).mean(-1, dtype=np.float32)
    cells = change.shape[0] // CELL_PX
    return np.asarray(change.reshape(cells, CELL_PX, cells, CELL_PX).mean((1, 3)) + 0.1)


class Samples:
    """Patches of the cached pairs, in memory."""

    def __init__(self, folder: Path, patch: int, seed: int) -> None:
        files = [np.load(p) for p in sorted(folder.glob("*.npz"))]
        self.sources = np.concatenate([f["sources"] for f in files])
        self.results = np.concatenate([f["results"] for f in files])
        levels, self.related = (np.concatenate([f[name] for f in files]) for name in ("levels", "related"))
        self.by_level = [np.flatnonzero(levels[::2] == level) for level in range(len(LEVELS))]
        self.patch, self.px = patch, self.sources.shape[1]
        self.detail = np.stack([detail_of(*both) for both in zip(self.sources, self.results, strict=True)])
        by_pair = self.detail.mean((1, 2)).reshape(-1, 2).sum(1)
        self.shares = [by_pair[pairs] / by_pair[pairs].sum() for pairs in self.by_level]
        self.rng = np.random.default_rng(seed)

    def _offset(self, number: int, sides: NDArray[np.int64]) -> tuple[int, int]:
        """Where a patch of a sample begins (y, x): at a side of the picture, or around detail, mostly."""
        detail = self.detail[number].ravel()
        share = DETAILED * detail / detail.sum() + (1 - DETAILED) / detail.size
        places = np.unravel_index(self.rng.choice(detail.size, p=share), self.detail.shape[1:])
        last = self.px - self.patch
        around = [CELL_PX * int(p) + int(self.rng.integers(CELL_PX)) - self.patch // 2 for p in places]
        y, x = ((0, min(max(at, 2), last - 2) // 2 * 2, last)[side] for side, at in zip(sides, around, strict=True))
        return y, x

    def batch(self, level: int, count: int) -> tuple[Tensor, Tensor, tuple[slice, slice], Tensor]:
        """Patches of ``count`` sources and of their results, where in these the loss counts, which pairs are related.

        Patches lie at the borders of pictures or not, all in the same way: within a picture, the network lacks at the
        patch's border what the teacher saw.
        """
        rng, patch = self.rng, self.patch
        chosen = rng.choice(self.by_level[level], count // 2, p=self.shares[level])
        sides = rng.choice(3, 2, p=(AT_BORDER, 1 - 2 * AT_BORDER, AT_BORDER))
        counts = [slice(RIM_PX * 2 * (side > 0), 2 * (patch - RIM_PX * (side < 2))) for side in sides]
        sources, results = [], []
        for pair in chosen:
            offsets = [self._offset(2 * pair + k, sides) for k in range(2)]
            if self.related[pair]:
                offsets[1] = offsets[0]
            for k, (y, x) in enumerate(offsets, start=2 * pair):
                sources.append(self.sources[k, y : y + patch, x : x + patch])
                results.append(self.results[k, 2 * y : 2 * (y + patch), 2 * x : 2 * (x + patch)])
        a, b = torch.from_numpy(np.stack(sources)), torch.from_numpy(np.stack(results))
        for axis, turned in enumerate(rng.random(2) < 0.5):
            if turned:
                a, b = a.flip(1 + axis), b.flip(1 + axis)
                counts[axis] = slice(2 * patch - counts[axis].stop, 2 * patch - counts[axis].start)
        if rng.random() < 0.5:
            a, b, counts = a.transpose(1, 2), b.transpose(1, 2), counts[::-1]
        a, b = a.permute(0, 3, 1, 2), b.permute(0, 3, 1, 2)
        return a, b, (counts[0], counts[1]), torch.from_numpy(self.related[chosen])


def charbonnier(difference: Tensor) -> Tensor:
    return (difference.square() + SMALL**2).sqrt().mean()


def loss_of(made: Tensor, wanted: Tensor, related: Tensor) -> Tensor:
    """On colours, on their gradients, and on their change in pairs whose ``related`` (N / 2) is 1."""
    error = made - wanted
    loss = charbonnier(error)
    loss = loss + EDGES * charbonnier(error[..., 1:] - error[..., :-1])
    loss = loss + EDGES * charbonnier(error[..., 1:, :] - error[..., :-1, :])
    return loss + CHANGE * charbonnier((error[1::2] - error[::2]) * related[:, None, None, None])


def one_hot(level: int) -> Tensor:
    return F.one_hot(torch.tensor(level), len(LEVELS)).float()


def psnr(made: Tensor, wanted: Tensor) -> float:
    """dB, in 8 bit as players show it."""
    return float(-10 * torch.log10((made.clamp(0, 1) - wanted).double().square().mean().clamp_min(1e-12)))


@torch.no_grad()
def evaluated(network: Student, folder: Path, device: str, files: int = 2) -> dict[str, float]:
    """Mean and worst dB to the teacher over held-out samples, by level."""
    found: dict[int, list[float]] = {}
    for path in sorted(folder.glob("*.npz"))[:files]:
        with np.load(path) as file:
            sources, results, levels = file["sources"], file["results"], file["levels"]
        for source, result, level in zip(sources, results, levels, strict=True):
            x = torch.from_numpy(source).permute(2, 0, 1)[None].to(device) / 255
            y = network(x.contiguous(memory_format=torch.channels_last), one_hot(int(level)).to(device))
            wanted = torch.from_numpy(result).permute(2, 0, 1)[None].to(device) / 255
            found.setdefault(int(level), []).append(psnr(y, wanted))
    every = [v for values in found.values() for v in values]
    return {
        "mean": round(float(np.mean(every)), 2), "worst": round(min(every), 2),
        **{str(level): round(float(np.mean(values)), 2) for level, values in sorted(found.items())},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("state", type=Path)
    parser.add_argument("--held-out", type=Path, help="files that are evaluated now and then")
    parser.add_argument("--family", default="plain", choices=FAMILIES)
    parser.add_argument("--minutes", type=float, default=60, help="then stop, to be gone on with")
    parser.add_argument("--steps", type=int, default=50000)
    parser.add_argument("--timed", action="store_true", help="let the rate fall over --minutes, not over --steps")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--muon", action="store_true", help="for the weights of the layers, in place of Adam")
    parser.add_argument("--compile", action="store_true", help="the loss, which is faster where a C++ compiler is")
    parser.add_argument("--evaluate-every", type=int, default=4000)
    arguments = parser.parse_args()
    begun = time.monotonic()
    torch.manual_seed(17)
    device = arguments.device
    network = FAMILIES[arguments.family]().to(device).to(memory_format=torch.channels_last)
    smooth = FAMILIES[arguments.family]().to(device).to(memory_format=torch.channels_last)
    matrices = [p for name, p in network.named_parameters() if arguments.muon and name.endswith("weight")]
    others = [p for p in network.parameters() if p.requires_grad and not any(p is q for q in matrices)]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(others, arguments.rate, betas=(0.9, 0.99), fused=True)]
    if matrices:
        optimizers.append(torch.optim.Muon(matrices, arguments.rate, weight_decay=0, adjust_lr_fn="match_rms_adamw"))
    step, log = 0, []
    if arguments.state.exists():
        saved = torch.load(arguments.state, map_location=device)
        network.load_state_dict(saved["network"])
        smooth.load_state_dict(saved["smooth"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        step, log = saved["step"], saved["log"]
    else:
        smooth.load_state_dict(network.state_dict())
    samples = Samples(arguments.data, arguments.patch, step)
    print(f"{len(samples.sources)} sources; step {step}", flush=True)

    def save() -> None:
        state = {"network": network.state_dict(), "smooth": smooth.state_dict(), "step": step, "log": log,
                 "optimizers": [o.state_dict() for o in optimizers], "family": arguments.family}  # fmt: skip
        temporary = arguments.state.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.rename(arguments.state)

    measured = torch.compile(loss_of, dynamic=False) if arguments.compile else loss_of
    saved_at, losses = time.monotonic(), []
    ours: list[Tensor] = list(network.parameters())
    theirs: list[Tensor] = list(smooth.parameters())
    while step < arguments.steps and time.monotonic() - begun < 60 * arguments.minutes:
        done = (time.monotonic() - begun) / 60 / arguments.minutes if arguments.timed else step / arguments.steps
        rate = arguments.rate * min(1, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * min(1, done)))
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        level = int(samples.rng.choice(len(LEVELS), p=SHARES))
        sources, results, (rows, columns), related = samples.batch(level, arguments.batch)
        x = sources.to(device).float().div(255).contiguous(memory_format=torch.channels_last)
        wanted = results.to(device)[:, :, rows, columns].float() / 255
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            made = network(x, one_hot(level).to(device))
        loss = measured(made.float()[:, :, rows, columns], wanted, related.float().to(device))
        for optimizer in optimizers:
            optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(ours, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(theirs, ours, 1 - min(EMA, step / (step + 10)))
        losses.append(float(loss.detach()))
        if step % arguments.evaluate_every == 0 or step == arguments.steps:
            entry: dict[str, object] = {"step": step, "loss": round(float(np.mean(losses[-500:])), 5),
                                        "minutes": round((time.monotonic() - begun) / 60, 1)}  # fmt: skip
            if arguments.held_out:
                entry |= evaluated(smooth, arguments.held_out, device)
            log.append(entry)
            print(json.dumps(entry), flush=True)
        if time.monotonic() - saved_at > SAVED_EVERY_S:
            save()
            saved_at = time.monotonic()
    save()
    if arguments.held_out:
        print(json.dumps({"step": step} | evaluated(smooth, arguments.held_out, device)), flush=True)


if __name__ == "__main__":
    main()
