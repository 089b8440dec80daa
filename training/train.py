"""Train a network on the files of ``teacher.py``: ``train.py DATA STATE --minutes 60``; goes on from STATE.

The learning rate falls along a cosine over ``--steps`` in all. STATE is saved every few minutes and at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parent))
from families import FAMILIES
from samples import Batch, Samples, compared

WARM_UP, EMA, SAVED_EVERY_S = 200, 0.999, 120
APART_FROM = 8000  #: step from which levels have weights of their own
OWN_RATE = 0.5  #: of the rate, for the levels' own differences, which move along with what all share
EDGES, CHANGE = 0.5, 1.0  #: weights of the losses on gradients and on the change from frame to frame
SMALL = 1e-3  #: of the Charbonnier loss


def charbonnier(difference: Tensor) -> Tensor:
    return (difference.square() + SMALL**2).sqrt().mean()


def loss_of(made: Tensor, wanted: Tensor, related: Tensor) -> Tensor:
    """On colours, on their gradients, and on their change in pairs whose ``related`` (N / 2) is 1."""
    error = made - wanted
    loss = charbonnier(error)
    loss = loss + EDGES * charbonnier(error[..., 1:] - error[..., :-1])
    loss = loss + EDGES * charbonnier(error[..., 1:, :] - error[..., :-1, :])
    return loss + CHANGE * charbonnier((error[1::2] - error[::2]) * related[:, None, None, None])


def psnr(made: Tensor, wanted: Tensor) -> float:
    """dB, in 8 bit as players show it."""
    return float(-10 * torch.log10((made - wanted).double().square().mean().clamp_min(1e-12)))


class Training:
    """A network as it learns, the mean of its latest weights, and what it takes to go on after a stop."""

    def __init__(self, family: str, device: str) -> None:
        self.family, self.device = family, device
        self.network, self.smooth = (
            FAMILIES[family]().to(device).to(memory_format=torch.channels_last) for _ in range(2)
        )
        self.smooth.load_state_dict(self.network.state_dict())
        self.step, self.log, self.loss_of = 0, list[dict[str, float]](), loss_of
        parts: dict[str, list[nn.Parameter]] = {"weight": [], "own": [], "other": []}
        for name, parameter in self.network.named_parameters():
            kind = "own" if ".own." in name else "weight" if name.endswith("weight") else "other"
            parts[kind].append(parameter)
        self.own = parts["own"]
        matrices = [{"params": parts["weight"], "share": 1.0}, {"params": self.own, "share": OWN_RATE}]
        self.optimizers: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(matrices, weight_decay=0, adjust_lr_fn="match_rms_adamw"),
            torch.optim.Adam([{"params": parts["other"], "share": 1.0}], betas=(0.9, 0.99), fused=True),
        )

    def load(self, path: Path) -> None:
        saved = torch.load(path, map_location=self.device)
        self.network.load_state_dict(saved["network"])
        self.smooth.load_state_dict(saved["smooth"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step, self.log = saved["step"], saved["log"]

    def save(self, path: Path) -> None:
        state = {"network": self.network.state_dict(), "smooth": self.smooth.state_dict(), "step": self.step,
                 "log": self.log, "optimizers": [o.state_dict() for o in self.optimizers],
                 "family": self.family}  # fmt: skip
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.rename(path)

    def learn(self, batch: Batch, rate: float) -> float:
        """One step; returns the loss."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]
        for parameter in self.own:
            parameter.requires_grad_(self.step >= APART_FROM)
        rows, columns = batch.counts
        x = batch.sources.to(self.device).float().div(255).contiguous(memory_format=torch.channels_last)
        wanted = batch.results.to(self.device)[:, :, rows, columns].float() / 255
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            made = self.network(x, batch.level)
        loss = self.loss_of(made.float()[:, :, rows, columns], wanted, batch.related.float().to(self.device))
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        torch.autograd.backward(loss)
        ours: list[Tensor] = list(self.network.parameters())
        torch.nn.utils.clip_grad_norm_(ours, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        with torch.no_grad():
            torch._foreach_lerp_(list(self.smooth.parameters()), ours, 1 - min(EMA, self.step / (self.step + 10)))
        return float(loss.detach())

    def evaluated(self, folder: Path) -> dict[str, float]:
        """Mean and worst dB to the teacher over held-out samples, and the mean of each level."""
        found: dict[int, list[float]] = {}
        for level, made, wanted in compared(self.smooth, folder, self.device):
            found.setdefault(level, []).append(psnr(made, wanted))
        every = [v for values in found.values() for v in values]
        means = {str(level): float(np.mean(values)) for level, values in sorted(found.items())}
        dB = {"mean": float(np.mean(every)), "worst": min(every), **means}
        return {name: round(value, 2) for name, value in dB.items()}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("state", type=Path)
    parser.add_argument("--held-out", type=Path, help="files that are evaluated now and then")
    parser.add_argument("--family", default="plain", choices=FAMILIES)
    parser.add_argument("--minutes", type=float, default=60, help="then stop, to be gone on with")
    parser.add_argument("--steps", type=int, default=75000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=96)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="the loss, which is faster where a C++ compiler is")
    parser.add_argument("--evaluate-every", type=int, default=4000)
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    begun = time.monotonic()
    torch.manual_seed(17)
    training = Training(arguments.family, arguments.device)
    if arguments.state.exists():
        training.load(arguments.state)
    if arguments.compile:
        training.loss_of = torch.compile(loss_of, dynamic=False)
    samples = Samples(arguments.data, arguments.patch, training.step)
    print(f"{len(samples.sources)} sources; step {training.step}", flush=True)
    saved_at, losses = time.monotonic(), deque[float](maxlen=500)
    while training.step < arguments.steps and time.monotonic() - begun < 60 * arguments.minutes:
        falling = 0.5 + 0.5 * math.cos(math.pi * training.step / arguments.steps)
        rate = arguments.rate * min(1, (training.step + 1) / WARM_UP) * falling
        losses.append(training.learn(samples.batch(arguments.batch), rate))
        if training.step % arguments.evaluate_every == 0 or training.step == arguments.steps:
            entry = {"step": training.step, "loss": round(float(np.mean(losses)), 5)}
            if arguments.held_out:
                entry |= training.evaluated(arguments.held_out)
            training.log.append(entry)
            print(json.dumps(entry), flush=True)
        if time.monotonic() - saved_at > SAVED_EVERY_S:
            training.save(arguments.state)
            saved_at = time.monotonic()
    training.save(arguments.state)


if __name__ == "__main__":
    main()
