"""The gates of a frame, each from the parts of its map that the tiles own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vscugan.architectures.parts import Gate
from vscugan.runtime.arrays import Array
from vscugan.runtime.protocol import Runtime


class GateMeans:
    """Gathers means of whole maps, and makes gates of them. ``given``: gates whose means nobody has to know.

    ``size``: (height, width) of the picture. ``finite``: whether every mean was, a scalar that the
    device may not have computed yet.
    """

    def __init__(self, runtime: Runtime, size: tuple[int, int], alpha: float, given: Mapping[str, Array]) -> None:
        self._runtime, self._size, self._alpha = runtime, size, alpha
        self.gates = dict(given)
        self.finite: Any = True
        self._total: Array | None = None

    def wants(self, gate: Gate | None) -> bool:
        """Whether a mean is still to be taken for a stage that ends with ``gate``."""
        return gate is not None and gate.name not in self.gates

    def add(self, part: Array) -> None:
        """A tile's part of the map of the gate that is made next, (1, C, h, w)."""
        self.add_sum(self._runtime.arrays.sums(part))

    def add_sum(self, total: Array) -> None:
        """The sums of a tile's part, (1, C)."""
        self._total = total if self._total is None else self._total + total

    def close(self, gate: Gate) -> None:
        """All parts are there: make the gate."""
        assert self._total is not None
        feature = self._runtime.architecture.shapes.maps[gate.map]
        mean = self._total / (feature.size(self._size[0]) * feature.size(self._size[1]))
        self._total = None
        self.finite = self.finite & self._runtime.arrays.xp.isfinite(mean).all()
        self.gates[gate.name] = self._runtime.gate(gate, mean, self._alpha)
