"""Gates: two dense layers on a mean, by torch and by NumPy, against plain ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys.toy_architectures import VALID, random_weights

from vscugan.architectures import ARCHITECTURES
from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Gate
from vscugan.runtime.gates import GateLayers
from vscugan.runtime.host_gates import HostGates

EACH = [
    pytest.param(architecture, gate, id=f"{architecture.name}-{gate.name}")
    for architecture in (VALID, ARCHITECTURES["upcunet-2x"])
    for gate in architecture.gates
]


def arrays_of(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def plain_gate(tensors: dict[str, torch.Tensor], gate: Gate, mean: np.ndarray, alpha: float) -> np.ndarray:
    """(C,) fp64 -> (C,): ReLU behind the first layer, a sigmoid behind the second, times ``alpha``."""
    first, second = (
        (tensors[f"{name}.weight"].double().numpy()[:, :, 0, 0], tensors[f"{name}.bias"].double().numpy())
        for name in gate.layers
    )
    squeezed = np.maximum(first[0] @ mean + first[1], 0)
    gated: np.ndarray = alpha / (1 + np.exp(-(second[0] @ squeezed + second[1])))
    return gated


@pytest.mark.parametrize("by", ["torch", "numpy"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
@pytest.mark.parametrize("alpha", [0.7, 1.0, 1.3])
@pytest.mark.parametrize(("architecture", "gate"), EACH)
def test_a_gate_is_what_was_written_plainly(
    architecture: Architecture, gate: Gate, alpha: float, dtype: torch.dtype, by: str
) -> None:
    tensors = random_weights(architecture)
    channels = architecture.layer[gate.layers[0]].inputs
    mean = torch.randn((1, channels), generator=torch.Generator().manual_seed(2)).to(dtype)
    if by == "torch":
        got = GateLayers(architecture, arrays_of(tensors))(gate, mean, alpha).numpy()
    else:
        got = HostGates(architecture, arrays_of(tensors))(gate, mean.numpy(), alpha)
    assert got.dtype == np.float32
    assert got.shape == (1, channels, 1, 1)
    wanted = plain_gate(tensors, gate, mean[0].double().numpy(), alpha if gate.takes_alpha else 1.0)
    assert np.abs(got[0, :, 0, 0] - wanted).max() < 1e-5


def test_alpha_is_for_the_gates_that_take_it() -> None:
    architecture = ARCHITECTURES["upcunet-2x"]
    layers = GateLayers(architecture, arrays_of(random_weights(architecture)))
    assert {gate.takes_alpha for gate in architecture.gates} == {True, False}
    for gate in architecture.gates:
        mean = torch.ones((1, architecture.layer[gate.layers[0]].inputs))
        plain, stronger = (layers(gate, mean, alpha) for alpha in (1.0, 2.0))
        assert torch.equal(stronger, plain * 2 if gate.takes_alpha else plain)
