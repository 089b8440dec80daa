"""The torch runtime: one network's parameters on one device in one precision."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from vscugan.network import ARCHITECTURES, LEAKY_SLOPE, Stage, run_stage
from vscugan.runtime.gates import Gates
from vscugan.workspace import Workspace


def native_precisions(device: torch.device) -> tuple[str, ...]:
    """The precisions below fp32 that a device has instructions for.

    On a CPU what the CPU has and oneDNN, which computes the convolutions, may use; where torch does not
    tell what the CPU has (before 2.10) that counts as none.
    """
    if device.type == "cuda":
        return ("fp16", "bf16") if torch.cuda.get_device_capability(device) >= (8, 0) else ("fp16",)
    if device.type != "cpu":
        return ("fp16", "bf16")
    cpu: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return tuple(
        precision
        for precision in ("fp16", "bf16")
        if (cpu.get(f"avx512_{precision}") or cpu.get(f"amx_{precision}"))
        and getattr(torch.ops.mkldnn, f"_is_mkldnn_{precision}_supported")()
    )


class TorchRuntime:
    """Runs stages with torch; channels last, as every fast convolution of torch wants it.

    ``tensors``: the fp32 state dict of UpCunet by its official names. The SE gates are computed in fp32
    whatever ``dtype`` is.
    """

    name = "torch"
    memory_format = torch.channels_last
    tells_gates = True
    dense_windows = False  # its first step on a window is a product or a sum

    def __init__(
        self, tensors: Mapping[str, Tensor], *, scale: int, pro: bool, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.architecture = ARCHITECTURES[scale]
        self.pro, self.device, self.dtype = pro, device, dtype
        # on a CPU each result is fresh memory, whose pages cost more than the halo: 1280x720 takes 0.4 x the time
        self.preferred_tile_px = 128 if device.type == "cpu" else 0
        self.sum_dtype = torch.float32 if device.type == "mps" else torch.float64
        self._gates = Gates(tensors, device)
        self._weights: dict[str, Tensor] = {}
        self._biases: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            layer, _, kind = name.rpartition(".")
            if kind == "bias":
                self._biases[layer] = tensor.to(device, dtype)
            else:
                self._weights[layer] = tensor.to(device, dtype).contiguous(memory_format=self.memory_format)

    def convolution(self, layer: str, x: Tensor, activate: bool) -> Tensor:
        """One layer of the network, with its leaky ReLU when ``activate``."""
        weight, bias = self._weights[layer], self._biases[layer]
        x = x.contiguous(memory_format=self.memory_format)
        if enlarging := self.architecture.enlarging(layer):
            stride, padding = enlarging
            y = F.conv_transpose2d(x, weight, bias, stride=stride, padding=padding)
        else:
            y = F.conv2d(x, weight, bias, stride=2 if layer.endswith("_down") else 1)
        return F.leaky_relu_(y, LEAKY_SLOPE) if activate else y

    def pixel_shuffle(self, x: Tensor, factor: int) -> Tensor:
        """See ``vscugan.network.Operators``."""
        return F.pixel_shuffle(x, factor)

    def repeat_pixels(self, x: Tensor, factor: int) -> Tensor:
        """See ``vscugan.network.Operators``."""
        return F.interpolate(x, scale_factor=factor, mode="nearest")

    def run_stage(
        self, k: int, stage: Stage, read: Mapping[str, Tensor], gates: list[Tensor], workspace: Workspace
    ) -> dict[str, Tensor]:
        """See ``Runtime``."""
        return run_stage(self.architecture, k, self, read, gates)

    def run_network(self, padded: Tensor, alpha: float, workspace: Workspace, *, with_gates: bool = False) -> None:
        """See ``Runtime``: torch has no whole graph."""

    def run_gated(self, padded: Tensor, gates: list[Tensor], workspace: Workspace) -> None:
        """See ``run_network``."""

    def gate(self, block: str, mean: Tensor, gain: float) -> Tensor:
        """See ``Runtime``."""
        return self._gates(block, mean, gain).to(self.dtype)
