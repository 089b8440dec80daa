"""The ONNX Runtime: CPU, CUDA, TensorRT and DirectML by its execution providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
import xxhash
from numpy.typing import NDArray

from vscugan.models.weights import Weights
from vscugan.runtime.graph_runtime import Arrays, GraphRuntime, Session
from vscugan.workspace import Workspace


def available_providers() -> list[str]:
    """The execution providers that this build of ONNX Runtime has."""
    return list(onnxruntime.get_available_providers())


def native_precisions(device: torch.device) -> tuple[str, ...]:
    """The precisions below fp32 that a device has instructions for: TensorRT's own, on every GPU that it takes."""
    return ("fp16",) if device.type == "cuda" else ()


class OnnxRuntime(GraphRuntime):
    """Runs graphs by ``providers``: (name, options), the first that is there wins."""

    def __init__(self, weights: Weights, *, name: str, providers: Sequence[tuple[str, dict[str, Any]]]) -> None:
        super().__init__(weights)
        self.name = name
        self._providers = list(providers)

    def load(self, model: bytes, outputs: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Session:
        """See ``GraphRuntime``."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors: warnings go to stderr for each graph
        # idle threads must sleep: the encoder needs the cores
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(model, options, providers=self._providers_for(model))

        def run(inputs: Mapping[str, NDArray[np.float32]], workspace: Workspace) -> Arrays:
            return dict(zip(outputs, session.run(list(outputs), dict(inputs)), strict=True))

        return run

    def _providers_for(self, model: bytes) -> list[tuple[str, dict[str, Any]]]:
        """The providers, with a prefix for TensorRT's kept engines.

        It names them by the graph's and the nodes' names alone, which all our models share.
        """
        prefix = {"trt_engine_cache_prefix": xxhash.xxh3_128_hexdigest(model)}
        return [
            (name, options | prefix if name == "TensorrtExecutionProvider" else options)
            for name, options in self._providers
        ]
