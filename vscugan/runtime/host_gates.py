"""Squeeze-and-excitation gates by NumPy, in fp64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Gate

type Values = NDArray[np.floating]


class HostGates:
    """The parameters of a network's gates."""

    def __init__(self, architecture: Architecture, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        self._parameters = {
            layer: (tensors[f"{layer}.weight"][:, :, 0, 0].astype(np.float64), tensors[f"{layer}.bias"])
            for gate in architecture.gates
            for layer in gate.layers
        }

    def __call__(self, gate: Gate, mean: Values, alpha: float) -> NDArray[np.float32]:
        """(1, C) mean of the gate's map -> (1, C, 1, 1) gate, fp32, times ``alpha`` where the gate takes it."""
        x = mean
        for layer, activation in zip(gate.layers, (_relu, _sigmoid), strict=True):
            weight, bias = self._parameters[layer]
            with np.errstate(invalid="ignore"):  # what is not finite is found by its mean
                x = activation(x @ weight.T + bias)
        gain = alpha if gate.takes_alpha else 1.0
        return np.asarray(x * gain, np.float32)[:, :, None, None]


def _relu(x: Values) -> Values:
    return np.maximum(x, 0)


def _sigmoid(x: Values) -> Values:
    return 0.5 + 0.5 * np.tanh(0.5 * x)  # does not overflow
