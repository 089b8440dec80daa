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

from vscugan.architectures.parts import Gate, Stage
from vscugan.models.int8 import Quantisation, prepared
from vscugan.models.weights import Weights
from vscugan.runtime.exported import exported
from vscugan.runtime.gates import GateLayers
from vscugan.runtime.protocol import Gates, PassOptions
from vscugan.runtime.workspace import Workspace

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
    returns_gates = True
    fixed_shapes = 0  #: how many shapes of a graph get a session of their own; the others share one for any shape
    preferred_tile_px = 0

    def __init__(self, weights: Weights, quantisation: Quantisation | None = None) -> None:
        self.architecture = weights.architecture
        self._quantisation = quantisation
        if quantisation is not None:
            weights = prepared(weights, quantisation)
        self._weights = weights
        self._gates = GateLayers(weights.architecture, weights.tensors, self.device)
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
        self, k: int, stage: Stage, read: Mapping[str, Tensor], gates: Mapping[str, Tensor], workspace: Workspace
    ) -> dict[str, Tensor]:
        """See ``Runtime``."""
        last = self.memory_format == torch.channels_last
        dense = {name: x.contiguous(memory_format=self.memory_format) for name, x in read.items()}
        inputs = {name: (x.permute(0, 2, 3, 1) if last else x).numpy() for name, x in dense.items()}
        inputs |= {name: gates[name].numpy() for name in stage.takes}
        ran = self._run(
            (k, stage.writes, *stage.reads),
            stage.writes,
            partial(exported, "stage_model", self._weights, stage, self._quantisation, channels_last=last),
            inputs,
            workspace,
        )
        written = {name: torch.from_numpy(y) for name, y in ran.items()}
        return {name: y.permute(0, 3, 1, 2) if last else y for name, y in written.items()}

    def run_network(self, padded: Tensor, workspace: Workspace, options: PassOptions) -> tuple[Tensor, Gates]:
        """See ``Runtime``."""
        names = [gate.name for gate in self.architecture.gates]
        given = options.gates
        inputs = {"input": padded.contiguous().numpy()}
        if given is not None:
            inputs |= {name: gate.contiguous().numpy() for name, gate in zip(names, given, strict=True)}
        elif self.architecture.takes_alpha:
            inputs["alpha"] = np.full((1, 1, 1, 1), options.alpha, np.float32)
        asked = names if options.returns_gates and given is None else []
        graph = {"takes_gates": given is not None, "returns_gates": bool(asked)}
        ran = self._run(
            ("network", *graph.values()),
            ("output", *asked),
            partial(exported, "network_model", self._weights, self._quantisation, **graph),
            inputs,
            workspace,
            shapes_vary=given is not None,
        )
        return torch.from_numpy(ran["output"]), given or tuple(torch.from_numpy(ran[name]) for name in asked)

    def gate(self, gate: Gate, mean: Tensor, alpha: float) -> Tensor:
        """See ``Runtime``."""
        return self._gates(gate, mean, alpha)
