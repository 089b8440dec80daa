"""Which runtime computes: what is installed, what the device can have, and which of them is the fastest."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

import torch

from vscugan.errors import ArgumentError, DeviceError
from vscugan.models.weights import Weights
from vscugan.runtime.protocol import Runtime
from vscugan.runtime.torch_runtime import TorchRuntime

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A runtime that users can name: its module, the package that needs, the extra that installs it, its devices."""

    module: str
    package: str
    extra: str | None
    devices: tuple[str, ...]
    precisions: tuple[str, ...]


_ALL = ("fp32", "fp16", "bf16")
BACKENDS = {
    "torch": Backend(
        module="vscugan.runtime.torch_runtime",
        package="torch",
        extra=None,
        devices=("cpu", "cuda", "mps", "xpu"),
        precisions=_ALL,
    ),
    "openvino": Backend(
        module="vscugan.runtime.openvino_runtime",
        package="openvino",
        extra="openvino",
        devices=("cpu", "xpu"),
        precisions=_ALL,
    ),
} | {
    name: Backend(
        module="vscugan.runtime.onnx_runtime",
        package="onnxruntime",
        extra=name,
        devices=devices,
        precisions=precisions,
    )
    for name, devices, precisions in (
        ("onnxruntime", ("cpu", "cuda"), ("fp32",)),
        ("tensorrt", ("cuda",), ("fp32", "fp16")),
        ("directml", ("cuda", "xpu"), ("fp32",)),
    )
}
#: The fastest first, of those that were measured: docs/speed.md. Everywhere else torch is.
FASTEST = {("cpu", "fp32"): ("openvino", "onnxruntime"), ("cpu", "bf16"): ("openvino",)}


def _missing(backend: Backend) -> str | None:
    """Why a backend can't be used here, or None where it can."""
    try:
        importlib.import_module(backend.module)
    except Exception as error:  # whatever a broken installation raises
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


def pick_backend(name: str, device: torch.device, precision: str) -> tuple[str, str | None]:
    """The backend for ``name`` (``auto``: the fastest that is installed), and why a faster one was passed over.

    Raises: ArgumentError where the backend does not have the device or precision, DeviceError where it is
    not installed.
    """
    if name == "auto":
        reasons: list[str] = []
        for candidate in FASTEST.get((device.type, precision), ()):
            backend = BACKENDS[candidate]
            if importlib.util.find_spec(backend.package) is None:
                continue  # not installed is no news
            why = _missing(backend)
            if why is None:
                return candidate, "; ".join(reasons) or None
            reasons.append(f"{candidate} does not load ({why})")
        return "torch", "; ".join(reasons) or None
    backend = BACKENDS[name]
    for argument, value, allowed in (
        ("device", device.type, backend.devices),
        ("precision", precision, backend.precisions),
    ):
        if value not in allowed:
            listed = " or ".join(allowed)
            raise ArgumentError(
                f"{argument} must be {listed} for backend={name}, got {value}; choose one of these, or backend=torch"
            )
    why = _missing(backend)
    if why is not None:
        raise DeviceError(
            f'backend={name} must be installed, got {why}; pip install "vscugan[{backend.extra}]", or use backend=auto'
        )
    return name, None


def make_runtime(backend: str, weights: Weights, device: torch.device, precision: str) -> Runtime:
    """The runtime of a backend that ``pick_backend`` gave."""
    if backend == "torch":
        return TorchRuntime(
            weights.tensors, scale=weights.scale, pro=weights.pro, device=device, dtype=DTYPES[precision]
        )
    if backend == "openvino":
        from vscugan.runtime.openvino_runtime import OpenVinoRuntime

        name = "CPU" if device.type == "cpu" else f"GPU.{device.index or 0}"
        return OpenVinoRuntime(weights, device=name, precision=precision)
    from vscugan.runtime.onnx_runtime import OnnxRuntime

    index = {"device_id": device.index or 0}
    providers = {
        "onnxruntime": [("CUDAExecutionProvider", index)] if device.type == "cuda" else [],
        "tensorrt": [
            (
                "TensorrtExecutionProvider",
                index | {"trt_fp16_enable": precision == "fp16", "trt_engine_cache_enable": True},
            ),
            ("CUDAExecutionProvider", index),
        ],
        "directml": [("DmlExecutionProvider", index)],
    }[backend]
    return OnnxRuntime(weights, name=backend, providers=[*providers, ("CPUExecutionProvider", {})])
