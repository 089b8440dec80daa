"""The ONNX Runtime: CPU, CUDA, TensorRT and DirectML by its execution providers."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from vscugan import install
from vscugan.cache import ensure_folder
from vscugan.errors import DeviceError
from vscugan.install import version
from vscugan.models.weights import Weights
from vscugan.runtime.backends import Backend
from vscugan.runtime.device import Device, nvidia_driver
from vscugan.runtime.graph_runtime import GraphRuntime, NamedArrays, Session
from vscugan.runtime.workspace import Workspace

TENSORRT, CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"
#: fp32 without TF32, which has 10 bits, and kernels that are not chosen by measuring: other processes choose them, too
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
#: (name, options) of execution providers, the first that is there wins.
type Providers = list[tuple[str, dict[str, Any]]]


def package() -> Any:
    """onnxruntime itself, imported when it is first needed."""
    return importlib.import_module("onnxruntime")


def available_providers() -> list[str]:
    """The execution providers that this build of ONNX Runtime has."""
    return list(package().get_available_providers())


def native_precisions(device: Device) -> tuple[str, ...]:
    """The precisions below fp32 that a device has instructions for: TensorRT's own, on every GPU that it takes."""
    return ("fp16",) if device.kind == "cuda" else ()


class OnnxRuntime(GraphRuntime):
    """Runs graphs by ``providers``: (name, options), the first that is there wins."""

    def __init__(self, weights: Weights, *, name: str, providers: Providers) -> None:
        super().__init__(weights)
        self.name = name
        self._providers = list(providers)
        if TENSORRT in dict(providers):  # its engines are fastest for one size, and another builds one engine anew
            self.fixed_shapes, self.takes_parts = 16, False

    def load(self, model: bytes, outputs: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Session:
        """See ``GraphRuntime``."""
        options = package().SessionOptions()
        options.log_severity_level = 3  # errors: warnings go to stderr for each graph
        # idle threads must sleep: the encoder needs the cores
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        for name, shape in (shapes or {}).items():
            for axis, px in zip("hw", shape[2:], strict=True):
                options.add_free_dimension_override_by_name(f"{name}_{axis}", px)
        if TENSORRT in dict(self._providers):
            # pip's TensorRT is not on the loader's path; where there is none, the check below says so
            with suppress(ImportError, OSError):
                importlib.import_module("tensorrt")
        session = package().InferenceSession(model, options, providers=self._providers_for(model, shapes))

        wanted, got = self._providers[0][0], session.get_providers()[0]
        if got != wanted:  # it goes on with the next one where a library does not load, and says so on stderr only
            raise DeviceError(
                f"backend={self.name} must compute by {wanted}, got {got}; what it needs did not load: "
                "check its libraries and the driver, or use backend=torch"
            )

        def run(inputs: Mapping[str, NDArray[np.float32]], workspace: Workspace) -> NamedArrays:
            return dict(zip(outputs, session.run(list(outputs), dict(inputs)), strict=True))

        return run

    def _providers_for(self, model: bytes, shapes: Mapping[str, Sequence[int]] | None) -> Providers:
        """The providers, with a prefix for TensorRT's kept engines.

        ONNX Runtime names them by the names in a graph, which all our models share, by the versions that it was built
        with, precision and compute capability; what was built by another TensorRT does not load, and what was chosen
        on another GPU or by another driver is slow.
        """

        def prefix(options: Mapping[str, Any]) -> dict[str, str]:
            gpu = install.torch().cuda.get_device_name(options["device_id"])
            sizes = sorted((name, *shape) for name, shape in (shapes or {}).items())
            built_for = repr((sizes, gpu, nvidia_driver(), _tensorrt_versions()))
            return {"trt_engine_cache_prefix": xxhash.xxh3_128_hexdigest(model + built_for.encode())}

        return [
            (name, {**options, **prefix(options)} if name == TENSORRT else options) for name, options in self._providers
        ]


def _tensorrt_versions() -> list[str]:
    """The versions of TensorRT that pip has installed."""
    names = ("tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt-cu12-libs", "tensorrt-cu13-libs")
    return [f"{name} {found}" for name in names if (found := version(name))]


def _lacks(provider: str, device: Device) -> str | None:
    """ONNX Runtime would go on with the CPU where it does not have the provider, and only warn."""
    if device.kind == "cpu" or provider in available_providers():
        return None
    return f"an onnxruntime without {provider}"


def _make(name: str, provider: str, weights: Weights, device: Device, precision: str) -> OnnxRuntime:
    """A runtime that takes ``provider`` on other devices than the CPU."""
    options: dict[str, Any] = {"device_id": device.index}
    providers: Providers = [("CPUExecutionProvider", {})]
    if provider == CUDA:
        options |= CUDA_OPTIONS
    if provider == TENSORRT:
        providers.insert(0, (CUDA, options | CUDA_OPTIONS))  # for what TensorRT does not take
        options = options | {"trt_fp16_enable": precision == "fp16"}
        with suppress(OSError):  # a cache that can't be written costs minutes, not the clip
            options |= {"trt_engine_cache_path": str(ensure_folder("tensorrt")), "trt_engine_cache_enable": True}
    if device.kind != "cpu":
        providers.insert(0, (provider, options))
    return OnnxRuntime(weights, name=name, providers=providers)


def _row(name: str, provider: str, devices: Mapping[str, tuple[str, ...]], **more: Any) -> Backend:
    # ONNX Runtime for CUDA is another package, the one that has TensorRT too
    extras = {kind: "tensorrt" if kind == "cuda" and name != "directml" else name for kind in devices}
    return Backend(
        name=name,
        package="onnxruntime",
        distributions=("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml"),
        devices=devices,
        extras=extras,
        load=package,
        make=partial(_make, name, provider),
        native_precisions=native_precisions,
        out_of_memory=("Failed to allocate", "bad_alloc"),
        lacks=partial(_lacks, provider),
        **more,
    )


ROWS = (
    _row(
        "onnxruntime",
        CUDA,
        {"cpu": ("fp32",), "cuda": ("fp32",)},
        takes=("layers", "onnx"),
        speed={("cpu", "fp32"): 1.05, ("avx2", "fp32"): 1.3},
    ),
    _row("tensorrt", TENSORRT, {"cuda": ("fp32", "fp16")}, meanwhile="torch"),
    _row("directml", "DmlExecutionProvider", {"cuda": ("fp32",), "xpu": ("fp32",)}),
)
