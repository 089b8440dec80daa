"""A runtime that executes graphs, as somebody would add it: ONNX's own reference, which is slow and plain."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vscugan.models.weights import Weights
from vscugan.runtime.backends import Backend
from vscugan.runtime.device import Device
from vscugan.runtime.graph_runtime import GraphRuntime, NamedArrays, Session
from vscugan.runtime.workspace import Workspace


def package(name: str = "onnx.reference") -> Any:
    """The library, imported when it is first needed."""
    return importlib.import_module(name)


class ReferenceRuntime(GraphRuntime):
    """ONNX's reference in numpy."""

    name = "reference"

    def load(self, model: bytes, outputs: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Session:
        """See ``GraphRuntime``."""
        evaluator = package().ReferenceEvaluator(package("onnx").load_from_string(model))

        def run(inputs: Mapping[str, NDArray[np.float32]], workspace: Workspace) -> NamedArrays:
            return dict(zip(outputs, evaluator.run(list(outputs), dict(inputs)), strict=True))

        return run


def _make(weights: Weights, device: Device, precision: str) -> ReferenceRuntime:
    return ReferenceRuntime(weights)


ROWS = (
    Backend(
        name="reference",
        package="onnx",
        distributions=("onnx",),
        devices={"cpu": ("fp32",)},
        load=package,
        make=_make,
        native_precisions=lambda device: (),
    ),
)
