"""Runtimes that execute exported graphs: one graph for whole frames, and one for each stage of tiled ones."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vscugan.models.int8 import Quantisation, prepared
from vscugan.models.weights import Weights
from vscugan.network import ARCHITECTURES, GATE_NAMES, Stage, used_gates
from vscugan.runtime.exported import exported
from vscugan.runtime.gates import Gates
from vscugan.workspace import Workspace

Arrays = dict[str, NDArray[np.float32]]
#: Runs a graph: inputs by name -> outputs by name, in memory of the workspace or of their own.
Session = Callable[[Mapping[str, NDArray[np.float32]], Workspace], Arrays]


class GraphRuntime(ABC):
    """A runtime whose tensors are dense fp32 in host memory, whatever its device and precision are."""

    name: str
    device = torch.device("cpu")
    dtype = torch.float32
    sum_dtype = torch.float64
    memory_format = torch.contiguous_format  #: of the maps that stages read and write
    dense_windows = True
    tells_gates = True
    fixed_shapes = 0  #: how many shapes of a graph get a session of their own; the others share one for any shape
    preferred_tile_px = 0

    def __init__(self, weights: Weights, quantisation: Quantisation | None = None) -> None:
        self.architecture, self.pro = ARCHITECTURES[weights.scale], weights.pro
        self._quantisation = quantisation
        if quantisation is not None:
            weights = prepared(weights, quantisation)
        self._weights = weights
        self._gates = Gates(weights.tensors, self.device)
        self._sessions: dict[tuple[object, ...], dict[tuple[tuple[int, ...], ...], Session]] = {}
        self._sessions_lock = threading.Lock()

    @abstractmethod
    def load(self, model: bytes, outputs: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Session:
        """Make a session of a serialised ONNX model with these outputs, for inputs of ``shapes``, None = of any."""

    def _run(
        self,
        graph: tuple[object, ...],
        outputs: Sequence[str],
        model: Callable[[], bytes],
        inputs: Mapping[str, NDArray[np.float32]],
        workspace: Workspace,
        *,
        shapes_vary: bool = False,
    ) -> Arrays:
        """Run a graph, whose session is made when it is first asked for."""
        shapes = {name: x.shape for name, x in inputs.items()}
        with self._sessions_lock:
            sessions = self._sessions.setdefault(graph, {})
            fixed = tuple(shapes.values())
            key = fixed if not shapes_vary and (fixed in sessions or len(sessions) < self.fixed_shapes) else ()
            if key not in sessions:
                sessions[key] = self.load(model(), outputs, shapes if key else None)
            session = sessions[key]
        return session(inputs, workspace)

    def run_stage(
        self, k: int, stage: Stage, read: Mapping[str, Tensor], gates: list[Tensor], workspace: Workspace
    ) -> dict[str, Tensor]:
        """See ``Runtime``."""
        key = (k, stage.writes, *stage.reads)
        last = self.memory_format == torch.channels_last
        dense = {name: x.contiguous(memory_format=self.memory_format) for name, x in read.items()}
        inputs = {name: (x.permute(0, 2, 3, 1) if last else x).numpy() for name, x in dense.items()}
        inputs |= {GATE_NAMES[g]: gates[g].numpy() for g in used_gates(k)}
        ran = self._run(
            key,
            stage.writes,
            partial(exported, "stage_model", self._weights, k, stage, self._quantisation, channels_last=last),
            inputs,
            workspace,
        )
        made = {name: torch.from_numpy(y) for name, y in ran.items()}
        return {name: y.permute(0, 3, 1, 2) if last else y for name, y in made.items()}

    def run_network(
        self, padded: Tensor, alpha: float, workspace: Workspace, *, with_gates: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """See ``Runtime``."""
        inputs = {"input": padded.contiguous().numpy(), "alpha": np.full((1, 1, 1, 1), alpha, np.float32)}
        model = partial(exported, "network_model", self._weights, self._quantisation, with_gates=with_gates)
        names = GATE_NAMES if with_gates else ()
        ran = self._run(("network", with_gates), ("output", *names), model, inputs, workspace)
        return torch.from_numpy(ran["output"]), [torch.from_numpy(ran[name]) for name in names]

    def run_gated(self, padded: Tensor, gates: list[Tensor], workspace: Workspace) -> Tensor:
        """See ``Runtime``."""
        inputs = {"input": padded.contiguous().numpy()}
        inputs |= {name: gate.contiguous().numpy() for name, gate in zip(GATE_NAMES, gates, strict=True)}
        model = partial(exported, "gated_model", self._weights, self._quantisation)
        ran = self._run(("gated",), ("output",), model, inputs, workspace, shapes_vary=True)
        return torch.from_numpy(ran["output"])

    def gate(self, block: str, mean: Tensor, gain: float) -> Tensor:
        """See ``Runtime``."""
        return self._gates(block, mean, gain)
