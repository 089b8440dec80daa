"""The ncnn runtime: CPUs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vscugan.models.weights import Weights
from vscugan.runtime.backends import Backend
from vscugan.runtime.device import Device
from vscugan.runtime.graph_runtime import Arrays, GraphRuntime, Session
from vscugan.runtime.ncnn_memory import allocator_class
from vscugan.runtime.ncnn_writer import parts
from vscugan.runtime.workspace import Workspace

#: What ``Extractor.extract`` returns where an allocation failed.
OUT_OF_MEMORY = -100


def package() -> Any:
    """ncnn itself, imported when it is first needed."""
    return importlib.import_module("ncnn")


class NcnnRuntime(GraphRuntime):
    """Runs graphs on the CPU, in fp32."""

    name = "ncnn"
    format = "ncnn"

    def load(self, model: bytes, outputs: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Session:
        """See ``GraphRuntime``."""
        net = package().Net()
        options = net.opt
        options.num_threads = torch.get_num_threads()  # affinity and OMP_NUM_THREADS are in it
        options.openmp_blocktime = 1  # ms; idle threads must sleep: the encoder needs the cores
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            setattr(options, f"use_{name}", False)
        param, data = parts(model)
        if net.load_param_mem(param):
            raise RuntimeError("ncnn must read the graph, got another format; reinstall ncnn and vscugan")
        net.load_model_mem(data)

        def run(inputs: Mapping[str, NDArray[np.float32]], workspace: Workspace) -> Arrays:
            allocator = workspace.request(allocator_class, allocator_class())
            extractor = net.create_extractor()
            extractor.set_blob_allocator(allocator)
            extractor.set_workspace_allocator(allocator)
            for name, values in inputs.items():
                extractor.input(name, package().Mat(values[0]))  # which does not keep ``values``
            return {name: _copied(name, *extractor.extract(name), workspace) for name in outputs}

        return run


def _copied(name: str, error: int, y: Any, workspace: Workspace) -> NDArray[np.float32]:
    """An output (C, H, W) of ncnn's as (1, C, H, W), in memory of the workspace."""
    if error == OUT_OF_MEMORY:
        raise MemoryError(f"ncnn has no memory for {name}")
    if error:
        raise RuntimeError(f"ncnn must compute {name}, got error {error}; try backend=torch")
    values = np.asarray(y)
    taken = workspace.take((1, *values.shape), torch.float32, torch.contiguous_format, torch.device("cpu")).numpy()
    np.copyto(taken[0], values)
    return np.asarray(taken)


ROWS = (
    Backend(
        name="ncnn",
        package="ncnn",
        distributions=("ncnn",),
        devices={"cpu": ("fp32",)},
        extras={"cpu": "ncnn"},
        load=package,
        make=lambda weights, device, precision: NcnnRuntime(weights),
        native_precisions=lambda device: (),
    ),
)
