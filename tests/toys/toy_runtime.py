"""A runtime as somebody would add it: a class, and a row that says what it can have."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vscugan.architectures.parts import Stage
from vscugan.models.weights import Weights
from vscugan.runtime.backends import Backend
from vscugan.runtime.device import Device
from vscugan.runtime.torch_runtime import TorchRuntime
from vscugan.runtime.workspace import Workspace

#: the stages that were run, by number
RAN: list[int] = []


class ToyRuntime(TorchRuntime):
    """torch, and a list of what was run."""

    name = "toy"

    def run_stage(
        self, k: int, stage: Stage, read: Mapping[str, Tensor], gates: Mapping[str, Tensor], workspace: Workspace
    ) -> dict[str, Tensor]:
        """See ``Runtime``."""
        RAN.append(k)
        return super().run_stage(k, stage, read, gates, workspace)


def _make(weights: Weights, device: Device, precision: str) -> ToyRuntime:
    return ToyRuntime(weights, device.tensors, torch.float32)


ROWS = (
    Backend(
        name="toy",
        package="torch",
        distributions=("torch",),
        devices={"cpu": ("fp32",)},
        load=lambda: torch,
        make=_make,
        native_precisions=lambda device: (),
        speed={("cpu", "fp32"): 99.0},
    ),
)
