"""Runtimes that execute exported graphs: one graph for whole frames, and one for each stage of tiled ones."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vscugan.architectures.parts import Gate, Stage
from vscugan.models.int8 import Quantisation, prepared
from vscugan.models.weights import Weights
from vscugan.models.whole_network import OnnxNetwork, check_made
from vscugan.runtime import graph
from vscugan.runtime.arrays import Array, HostArrays
from vscugan.runtime.exported import exported
from vscugan.runtime.host_gates import HostGates
from vscugan.runtime.protocol import Gates, PassOptions
from vscugan.runtime.workspace import Workspace

#: Inputs or outputs of a graph by name.
NamedArrays = dict[str, NDArray[np.float32]]
#: Runs a graph: inputs by name -> outputs by name, in memory of the workspace or of their own.
Session = Callable[[Mapping[str, NDArray[np.float32]], Workspace], NamedArrays]


class _Lazy:
    """A session that is made when it is first asked for, which may take minutes and holds no other one up."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._lock = threading.Lock()

    def get(self, load: Callable[[], Session]) -> Session:
        """The session; raises what ``load`` raises, and the next call tries again."""
        with self._lock:
            if self._session is None:
                self._session = load()
            return self._session


class GraphRuntime(ABC):
    """A runtime whose arrays are NumPy's, whatever its device and precision are."""

    name: str
    arrays = HostArrays()
    dense_windows = True
    returns_gates = True
    keeps_maps = True
    format = "onnx"  #: of its graphs
    fixed_shapes = 0  #: how many shapes of a graph get a session of their own; the others share one for any shape
    takes_parts = True  #: whether parts of pictures, of changing sizes, come too: they share one session
    working_maps = 3.0
    preferred_tile_px = 0
    largest_buffer: int | None = None

    def __init__(self, weights: Weights, quantisation: Quantisation | None = None) -> None:
        self.architecture = weights.architecture
        self._quantisation = quantisation
        if quantisation is not None:
            weights = prepared(weights, quantisation)
        self._weights = weights
        self._gates = HostGates(weights.architecture, weights.tensors)
        self._own_model = weights.network.model if isinstance(weights.network, OnnxNetwork) else None
        if self._own_model is not None:
            self.keeps_maps = False  # it has no stages
        self._sessions: dict[tuple[object, ...], dict[tuple[tuple[int, ...], ...], _Lazy]] = {}
        self._sessions_lock = threading.Lock()

    @abstractmethod
    def load(self, model: bytes, outputs: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Session:
        """Make a session of a model in ``format`` with these outputs, for inputs of ``shapes``, None = of any."""

    def _run(
        self,
        key: tuple[object, ...],
        outputs: Sequence[str],
        model: Callable[[], bytes],
        inputs: Mapping[str, NDArray[np.float32]],
        workspace: Workspace,
        *,
        shapes_vary: bool = False,
    ) -> NamedArrays:
        """Run a graph, whose session is made when it is first asked for."""
        shapes = {name: x.shape for name, x in inputs.items()}
        with self._sessions_lock:
            sessions = self._sessions.setdefault(key, {})
            fixed = tuple(shapes.values())
            own = fixed if not shapes_vary and (fixed in sessions or len(sessions) < self.fixed_shapes) else ()
            session = sessions.setdefault(own, _Lazy())
        return session.get(lambda: self.load(model(), outputs, shapes if own else None))(inputs, workspace)

    def _exported(self, function: Callable[..., bytes], *arguments: object, **named: object) -> Callable[[], bytes]:
        """What makes a model of ``vscugan.runtime.graph``, or is the user's own one."""
        if self._own_model is not None:
            return lambda: self._own_model or b""
        writer: dict[str, object] = {} if self._quantisation is None else {"quantisation": self._quantisation}
        if self.arrays.channels_last and function is graph.stage_graph:
            writer["channels_last"] = True
        return partial(exported, self.format, self._weights, function, *arguments, writer=writer, **named)

    def run_stage(
        self, k: int, stage: Stage, read: Mapping[str, Array], gates: Mapping[str, Array], workspace: Workspace
    ) -> dict[str, Array]:
        """See ``Runtime``."""
        last = self.arrays.channels_last
        inputs = {name: x.transpose(0, 2, 3, 1) if last else x for name, x in read.items()}
        if self.dense_windows:
            inputs = {name: np.ascontiguousarray(x) for name, x in inputs.items()}
        inputs |= {name: gates[name] for name in stage.takes}
        written = self._run(
            (k, stage.writes, *stage.reads),
            stage.writes,
            self._exported(graph.stage_graph, stage),
            inputs,
            workspace,
        )
        return {name: y.transpose(0, 3, 1, 2) if last else y for name, y in written.items()}

    def run_network(self, padded: Array, workspace: Workspace, options: PassOptions) -> tuple[Array, Gates]:
        """See ``Runtime``."""
        names = [gate.name for gate in self.architecture.gates]
        given = options.gates
        inputs = {"input": np.ascontiguousarray(padded)}
        if given is not None:
            inputs |= {name: np.ascontiguousarray(gate) for name, gate in zip(names, given, strict=True)}
        elif self.architecture.takes_alpha:
            inputs["alpha"] = np.full((1, 1, 1, 1), options.alpha, np.float32)
        asked = names if options.returns_gates and given is None else []
        about_gates = {"takes_gates": given is not None, "returns_gates": bool(asked)}
        ran = self._run(
            ("network", *about_gates.values()),
            ("output", *asked),
            self._exported(graph.network_graph, **about_gates),
            inputs,
            workspace,
            shapes_vary=given is not None and self.takes_parts,
        )
        y = ran["output"]
        if self._own_model is not None:
            check_made(self.architecture, padded, y)
        return y, given or tuple(ran[name] for name in asked)

    def map_sum(
        self, k: int, padded: Array, own: tuple[slice, slice], gates: Mapping[str, Array], workspace: Workspace
    ) -> Array:
        """See ``Runtime``."""
        taken = {name for stage in self.architecture.stages[: k + 1] for name in stage.takes}
        gate = self.architecture.stages[k].gate
        assert gate is not None
        rows, columns = own
        feature, edge = self.architecture.shapes.maps[gate.map], 2 * self.architecture.pad_px
        mask = np.zeros((1, 1, 1, feature.size(int(padded.shape[3]) - edge)), np.float32)
        mask[..., columns.start : columns.stop] = 1
        inputs = {"input": np.ascontiguousarray(padded)}
        inputs |= {name: gates[name] for name in gates if name in taken}
        means = self._run(
            ("prefix", k),
            (graph.ROW_MEANS,),
            self._exported(graph.prefix_graph, k),
            inputs | {graph.MASK: mask},
            workspace,
        )[graph.ROW_MEANS]
        return means[:, :, rows.start : rows.stop, 0].sum(2, dtype=np.float64) * mask.size

    def gate(self, gate: Gate, mean: Array, alpha: float) -> Array:
        """See ``Runtime``."""
        return self._gates(gate, mean, alpha)
