"""What torch is asked for."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.runtime.protocol import PassOptions
from vscugan.runtime.torch_runtime import TorchRuntime


class Convolutions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes for each convolution whether it may take TF32."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.allow_tf32: list[bool] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "convolution" in func.name():
            assert func is torch.ops.aten._convolution.default
            self.allow_tf32.append(args[12])
        return func(*args, **(kwargs or {}))


def test_fp32_is_not_replaced_by_tf32() -> None:
    """torch takes TF32 for convolutions in fp32 on CUDA by default, which is 3e-4 of the values off."""
    weights = load_released(find(model="se", scale=2, noise="no-denoise"))
    runtime = TorchRuntime(weights, torch.device("cpu"), torch.float32)
    with torch.inference_mode(), Convolutions() as asked:
        runtime.whole_network(torch.rand(1, 3, 68, 84), PassOptions())
    layers = [layer for layer in weights.architecture.layers if not layer.dense]
    assert asked.allow_tf32 == [False] * len(layers)
