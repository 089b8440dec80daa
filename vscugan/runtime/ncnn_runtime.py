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
    working_maps = 6.0  # in tiles, with all that Winograd needs
    dense_windows = False  # what it reads is copied into its blobs

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        #: maps that later stages read; they stay in the blobs' memory
        self._handed_on = {name for stage in self.architecture.stages for name in stage.writes} - {"output"}

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
                extractor.input(name, _blob(name, values, allocator))
            ran = {name: _values(name, *extractor.extract(name)) for name in outputs}
            return {name: y if name in self._handed_on else _copied(y, workspace) for name, y in ran.items()}

        return run


def _no_memory(name: str) -> MemoryError:
    return MemoryError(f"ncnn has no memory for {name}")


def _blob(name: str, values: NDArray[np.float32], allocator: Any) -> Any:
    """A blob with a copy of an input (1, C, H, W)."""
    channels, height, width = values.shape[1:]
    blob = package().Mat(width, height, channels, allocator=allocator)
    if blob.empty():
        raise _no_memory(name)
    np.copyto(np.asarray(blob), values[0])
    return blob


def _values(name: str, error: int, blob: Any) -> NDArray[np.float32]:
    """An output's values (1, C, H, W), in the blob's memory."""
    if error == OUT_OF_MEMORY:
        raise _no_memory(name)
    if error:
        raise RuntimeError(f"ncnn must compute {name}, got error {error}; use another backend")
    return np.asarray(blob)[None]


def _copied(values: NDArray[np.float32], workspace: Workspace) -> NDArray[np.float32]:
    """The same in memory of the workspace."""
    taken = workspace.take(values.shape, torch.float32, torch.contiguous_format, torch.device("cpu")).numpy()
    np.copyto(taken, values)
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
