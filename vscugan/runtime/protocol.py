"""What a runtime is to the tiler: it runs one stage of the network, or all of it, on tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from vscugan.network import Architecture, Stage
from vscugan.workspace import Workspace


class Runtime(Protocol):
    """One network's parameters on one device in one precision. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """What users know it by."""

    @property
    def architecture(self) -> Architecture:
        """The network's table row."""

    @property
    def pro(self) -> bool:
        """Whether the network works in the Pro range."""

    @property
    def device(self) -> torch.device:
        """Where the tensors that it takes and returns live."""

    @property
    def dtype(self) -> torch.dtype:
        """Of those tensors."""

    @property
    def memory_format(self) -> torch.memory_format:
        """That it takes and returns without copying."""

    @property
    def dense_windows(self) -> bool:
        """Whether it needs windows of maps in one piece, or takes views."""

    @property
    def preferred_tile_px(self) -> int:
        """The tile that it is fastest with, 0 = whole frames."""

    @property
    def sum_dtype(self) -> torch.dtype:
        """In which the device can sum exactly enough."""

    @property
    def tells_gates(self) -> bool:
        """Whether ``run_network`` with gates costs nothing, and differs from without by rounding at most."""

    def run_stage(
        self, k: int, stage: Stage, read: Mapping[str, Tensor], gates: list[Tensor], workspace: Workspace
    ) -> dict[str, Tensor]:
        """Stage ``k`` on windows of the maps that it reads; see ``vscugan.network.run_stage``.

        What it returns is the caller's until it gives it back to the workspace.
        """

    def run_network(
        self, padded: Tensor, alpha: float, workspace: Workspace, *, with_gates: bool = False
    ) -> tuple[Tensor, list[Tensor]] | None:
        """All stages on a whole padded frame, and its gates where they are asked for.

        None where stage by stage is as good.
        """

    def run_gated(self, padded: Tensor, gates: list[Tensor], workspace: Workspace) -> Tensor | None:
        """All stages on a padded frame or window with gates that are known, or None as in ``run_network``."""

    def gate(self, block: str, mean: Tensor, gain: float) -> Tensor:
        """The (1, C, 1, 1) gate of an SE block from the (1, C) mean of its map, times ``gain``."""
