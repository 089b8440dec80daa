"""Runtimes that execute exported graphs: one graph for whole frames, and one for each stage of tiled ones."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vscugan.models.int8 import Quantisation, prepared
from vscugan.models.weights import Weights
from vscugan.network import ARCHITECTURES, Stage
from vscugan.runtime.gates import Gates
from vscugan.runtime.graph import network_model, stage_model, used_gates
from vscugan.workspace import Workspace

Arrays = dict[str, NDArray[np.float32]]
#: Runs a graph: inputs by name -> outputs by name, which the next call with this workspace may write again.
Session = Callable[[Mapping[str, NDArray[np.float32]], Workspace], Arrays]


class GraphRuntime(ABC):
    """A runtime whose tensors are contiguous fp32 in host memory, whatever its device and precision are."""

    name: str
    device = torch.device("cpu")
    dtype = torch.float32
    sum_dtype = torch.float64
    memory_format = torch.contiguous_format
    dense_windows = True
    preferred_tile_px = 0

    def __init__(self, weights: Weights, quantisation: Quantisation | None = None) -> None:
        self.architecture, self.pro = ARCHITECTURES[weights.scale], weights.pro
        self._quantisation = quantisation
        if quantisation is not None:
            weights = prepared(weights, quantisation)
        self._weights = weights
        self._gates = Gates(weights.tensors, self.device)
        self._sessions: dict[tuple[object, ...], Session] = {}
        self._sessions_lock = threading.Lock()

    @abstractmethod
    def load(self, model: bytes, outputs: Sequence[str]) -> Session:
        """Make a session of a serialised ONNX model with these outputs."""

    def _session(self, key: tuple[object, ...], outputs: Sequence[str], model: Callable[[], bytes]) -> Session:
        """The session of this key, made when it is first asked for."""
        with self._sessions_lock:
            if key not in self._sessions:
                self._sessions[key] = self.load(model(), outputs)
            return self._sessions[key]

    def run_stage(
        self, k: int, stage: Stage, read: Mapping[str, Tensor], gates: list[Tensor], workspace: Workspace
    ) -> dict[str, Tensor]:
        """See ``Runtime``."""
        key = (k, stage.writes, *stage.reads)
        session = self._session(key, stage.writes, lambda: stage_model(self._weights, k, stage, self._quantisation))
        inputs = {name: x.contiguous().numpy() for name, x in read.items()}
        inputs |= {f"gate{g + 1}": gates[g].numpy() for g in used_gates(k)}
        return {name: torch.from_numpy(y) for name, y in session(inputs, workspace).items()}

    def run_network(self, padded: Tensor, alpha: float, workspace: Workspace) -> Tensor | None:
        """See ``Runtime``."""
        session = self._session(("network",), ("output",), lambda: network_model(self._weights, self._quantisation))
        inputs = {"input": padded.contiguous().numpy(), "alpha": np.full((1, 1, 1, 1), alpha, np.float32)}
        return torch.from_numpy(session(inputs, workspace)["output"])

    def gate(self, block: str, mean: Tensor, gain: float) -> Tensor:
        """See ``Runtime``."""
        return self._gates(block, mean, gain)
