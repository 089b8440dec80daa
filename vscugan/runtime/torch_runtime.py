"""The torch runtime: one network's parameters on one device in one precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vscugan.architectures.parts import Gate, Stage
from vscugan.architectures.stages import WholeMaps, run_stages
from vscugan.models.weights import Weights
from vscugan.runtime.cuda_graphs import run_by_graph
from vscugan.runtime.gates import GateLayers, map_sums
from vscugan.runtime.protocol import Gates, PassOptions
from vscugan.runtime.torch_arrays import TorchArrays
from vscugan.runtime.workspace import Workspace

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class TorchRuntime:
    """Runs stages with torch; channels last, as every fast convolution of torch wants it."""

    name = "torch"
    returns_gates = True
    keeps_maps = True
    largest_buffer: int | None = None
    working_maps = 3.0
    dense_windows = False  # its first step on a window is a product or a sum

    def __init__(self, weights: Weights, device: torch.device, dtype: torch.dtype) -> None:
        self.architecture, self._dtype = weights.architecture, dtype
        self.arrays = TorchArrays(device, dtype, torch.channels_last)
        tensors = {name: torch.from_numpy(values).to(device, dtype) for name, values in weights.tensors.items()}
        # on a CPU each result is fresh memory, whose pages cost more than the halo: 1280x720 takes 0.4 x the time
        self.preferred_tile_px = 128 if device.type == "cpu" else 0
        self.uses_graphs = device.type == "cuda" and torch.version.hip is None  # on AMD nobody has tried them
        self._gates = GateLayers(weights.architecture, weights.tensors, device)
        self._parameters = {
            layer.name: (
                tensors[f"{layer.name}.weight"].contiguous(memory_format=torch.channels_last),
                tensors[f"{layer.name}.bias"],
            )
            for layer in weights.architecture.layers
            if not layer.dense
        }
        self._slopes = {layer.name: tensors[layer.slopes] for layer in weights.architecture.layers if layer.slopes}

    def convolution(self, layer: str, x: Tensor) -> Tensor:
        """See ``Operators``."""
        row, parameters = self.architecture.layer[layer], self._parameters[layer]
        x = x.contiguous(memory_format=torch.channels_last)
        # what F.conv2d and F.conv_transpose2d call, but without TF32, which they take for fp32 on CUDA: it has 10 bits;
        # and without cuDNN's kernels that add in any order, of which transposed convolutions may have one
        y: Tensor = torch.ops.aten._convolution(
            x, *parameters, stride=[row.stride] * 2, padding=[row.padding] * 2, dilation=[1, 1],
            transposed=row.transposed, output_padding=[0, 0], groups=1,
            benchmark=False, deterministic=True, cudnn_enabled=True, allow_tf32=False,
        )  # fmt: skip
        if row.slopes:
            return F.prelu(y, self._slopes[layer])
        if row.slope is None:
            return y
        return F.leaky_relu_(y, row.slope) if row.slope else F.relu_(y)

    def pixel_shuffle(self, x: Tensor, factor: int) -> Tensor:
        """See ``Operators``."""
        return F.pixel_shuffle(x, factor)

    def repeat_pixels(self, x: Tensor, factor: int) -> Tensor:
        """See ``Operators``."""
        return F.interpolate(x, scale_factor=factor, mode="nearest")

    def repeat_edges(self, x: Tensor, px: int) -> Tensor:
        """See ``Operators``."""
        return F.pad(x, [px] * 4, mode="replicate")

    def concatenate(self, maps: Sequence[Tensor]) -> Tensor:
        """See ``Operators``."""
        return torch.cat(list(maps), 1)

    def scaled_sum(self, x: Tensor, y: Tensor, scale: float) -> Tensor:
        """See ``Operators``."""
        return x.mul_(scale).add_(y)

    def run_stage(
        self, k: int, stage: Stage, read: Mapping[str, Tensor], gates: Mapping[str, Tensor], workspace: Workspace
    ) -> dict[str, Tensor]:
        """See ``Runtime``."""
        written = stage.run(self, read, gates)
        return {name: written[name] for name in stage.writes}  # lean stages do not keep all that they make

    def run_network(self, padded: Tensor, workspace: Workspace, options: PassOptions) -> tuple[Tensor, Gates] | None:
        """See ``Runtime``: whole pictures on CUDA by graphs; else stage by stage is as good."""
        if not self.uses_graphs or options.is_part:
            return None
        return run_by_graph(self.whole_network, padded, workspace, options)

    def whole_network(self, padded: Tensor, options: PassOptions) -> tuple[Tensor, Gates]:
        """See ``Network``: what stage by stage computes, in one go."""
        names = [gate.name for gate in self.architecture.gates]
        given = {} if options.gates is None else dict(zip(names, options.gates, strict=True))

        def gate_of(gate: Gate, x: Tensor) -> Tensor:
            return self.gate(gate, map_sums(x, self.arrays.sum_dtype) / (x.shape[2] * x.shape[3]), options.alpha)

        whole = WholeMaps(
            {"input": padded},
            given,
            lambda k, stage, read, gates: stage.run(self, read, gates),
            gate_of,
            give_back=lambda x: None,  # its memory is free when nobody has it any more
            wanted=("output",),
        )
        run_stages(self.architecture.stages, whole)
        y: Tensor = whole.maps["output"]
        return y.to(torch.float32).contiguous(), tuple(whole.gates[name] for name in names)

    def map_sum(
        self, k: int, padded: Tensor, own: tuple[slice, slice], gates: Mapping[str, Tensor], workspace: Workspace
    ) -> Tensor:
        """See ``Runtime``: torch keeps its maps."""
        raise NotImplementedError

    def gate(self, gate: Gate, mean: Tensor, alpha: float) -> Tensor:
        """See ``Runtime``."""
        return self._gates(gate, mean, alpha).to(self._dtype)
