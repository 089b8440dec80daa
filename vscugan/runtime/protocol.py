"""What a runtime is to the tiler: it runs one stage of the network, or all of it, on arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Gate, Stage
from vscugan.runtime.arrays import Array, Arrays
from vscugan.runtime.workspace import Workspace

#: The gates of a picture in the order of the architecture's, (1, C, 1, 1) each: a runtime's arrays.
type Gates = tuple[Array, ...]


@dataclass(frozen=True, kw_only=True)
class PassOptions:
    """How the network is run: ``alpha``, and where they are not the picture's own the ``gates``, alpha in them.

    ``returns_gates``: whether the gates are asked for. ``is_part``: of a picture, whose size changes from one to the
    next, and whose gates are given.
    """

    alpha: float = 1.0
    gates: Gates | None = None
    returns_gates: bool = False
    is_part: bool = False


class Runtime(Protocol):
    """One network's parameters on one device in one precision. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """What users know it by."""

    @property
    def architecture(self) -> Architecture:
        """The network."""

    @property
    def arrays(self) -> Arrays:
        """What it takes and returns; maps in the layout that its stages read and write without copying."""

    @property
    def keeps_maps(self) -> bool:
        """Whether its stages are run one at a time, on maps that it keeps where it computes.

        Else tiles are computed again from the input, by ``map_sum`` and ``run_network``.
        """

    @property
    def dense_windows(self) -> bool:
        """Whether it needs windows of maps in one piece, or takes views."""

    @property
    def working_maps(self) -> float:
        """Of the network's widest, how many a stage needs memory for beside the maps that are kept."""

    @property
    def preferred_tile_px(self) -> int:
        """The tile that it is fastest with, 0 = whole frames."""

    @property
    def largest_buffer(self) -> int | None:
        """Bytes of the largest map that its device can hold in one piece, None = no limit but memory."""

    @property
    def returns_gates(self) -> bool:
        """Whether ``run_network`` with gates costs nothing, and differs from without by rounding at most."""

    def run_stage(
        self, k: int, stage: Stage, read: Mapping[str, Array], gates: Mapping[str, Array], workspace: Workspace
    ) -> dict[str, Array]:
        """Stage ``k`` on windows of the maps that it reads, cropped; maps and gates by name.

        What it returns is the caller's until it gives it back to the workspace.
        """

    def run_network(
        self, padded: Array, workspace: Workspace, options: PassOptions
    ) -> tuple[Array, Gates] | None:
        """All stages on a padded picture -> (1, 3, scale*H, scale*W), and its gates where they are asked for.

        With gates that are given it may be a part of a picture, of any size. Returns None where stage by stage is as
        good.
        """

    def map_sum(
        self, k: int, padded: Array, own: tuple[slice, slice], gates: Mapping[str, Array], workspace: Workspace
    ) -> Array:
        """Stages up to ``k`` on a padded window of a picture -> (1, C) sums of the map of stage ``k``'s gate.

        ``own``: the rows and columns of the map that are summed.
        """

    def gate(self, gate: Gate, mean: Array, alpha: float) -> Array:
        """The (1, C, 1, 1) gate that follows from the (1, C) mean of its map."""
