"""The gates of a frame, each from the parts of its map that the tiles own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vscugan.architectures.parts import Gate
from vscugan.runtime.gates import map_sums
from vscugan.runtime.protocol import Runtime


class GateMeans:
    """Gathers means of whole maps, and makes gates of them. ``given``: gates whose means nobody has to know.

    ``size``: (height, width) of the picture. ``finite``: whether every mean was, a boolean scalar on the device.
    """

    def __init__(self, runtime: Runtime, size: tuple[int, int], alpha: float, given: Mapping[str, Tensor]) -> None:
        self._runtime, self._size, self._alpha = runtime, size, alpha
        self.gates = dict(given)
        self.finite = torch.ones((), dtype=torch.bool, device=runtime.device)
        self._total: Tensor | None = None

    def wants(self, gate: Gate | None) -> bool:
        """Whether a mean is still to be taken for a stage that ends with ``gate``."""
        return gate is not None and gate.name not in self.gates

    def add(self, part: Tensor) -> None:
        """A tile's part of the map of the gate that is made next, (1, C, h, w)."""
        self.add_sum(map_sums(part, self._runtime.sum_dtype))

    def add_sum(self, total: Tensor) -> None:
        """The sums of a tile's part, (1, C)."""
        self._total = total if self._total is None else self._total + total

    def close(self, gate: Gate) -> None:
        """All parts are there: make the gate."""
        assert self._total is not None
        feature = self._runtime.architecture.shapes.maps[gate.map]
        mean = self._total / (feature.size(self._size[0]) * feature.size(self._size[1]))
        self._total = None
        self.finite &= torch.isfinite(mean).all()
        self.gates[gate.name] = self._runtime.gate(gate, mean, self._alpha)
