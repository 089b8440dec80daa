"""The OpenVINO runtime: CPUs, and Intel GPUs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vscugan.models.weights import Weights
from vscugan.runtime.graph_runtime import Arrays, GraphRuntime, Session
from vscugan.workspace import Workspace

# Importing openvino sends a telemetry event from a forked process, unless its telemetry package is missing.
_telemetry = sys.modules.get("openvino_telemetry")
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
try:
    import openvino
finally:
    if _telemetry is None:
        del sys.modules["openvino_telemetry"]
    else:
        sys.modules["openvino_telemetry"] = _telemetry

#: fp32 is asked for by name: left alone, OpenVINO takes bf16 on CPUs that have it, which is coarser.
PRECISIONS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}


class OpenVinoRuntime(GraphRuntime):
    """Runs graphs on ``device``: OpenVINO's name, such as CPU or GPU.0."""

    name = "openvino"
    fixed_shapes = 4  # whole frames take 3 % less time, and only then do layouts pass from graph to graph
    memory_format = torch.channels_last  # as its convolutions have it: no reordering between graphs

    def __init__(self, weights: Weights, *, device: str, precision: str) -> None:
        super().__init__(weights)
        self._core = openvino.Core()
        self._device = device
        self._options = {"INFERENCE_PRECISION_HINT": PRECISIONS[precision], "PERFORMANCE_HINT": "LATENCY"}
        if device == "CPU":
            # pinned threads meet the host's on one core, and a frame takes twice its time
            self._options["ENABLE_CPU_PINNING"] = "NO"

    def load(self, model: bytes, outputs: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Session:
        """See ``GraphRuntime``."""
        graph = self._core.read_model(model)
        if shapes is not None:
            graph.reshape({name: list(shape) for name, shape in shapes.items()})
        compiled = self._core.compile_model(graph, self._device, self._options)

        def run(inputs: Mapping[str, NDArray[np.float32]], workspace: Workspace) -> Arrays:
            request = workspace.request(run, compiled.create_infer_request)
            for name, values in inputs.items():
                request.set_tensor(name, openvino.Tensor(values, shared_memory=True))
            request.infer()
            return {name: request.get_tensor(name).data for name in outputs}

        return run
