"""Which runtime computes: what is installed, what the device can have, and which of them is the fastest."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from vscugan.cache import ensure_folder
from vscugan.errors import ArgumentError, DeviceError
from vscugan.install import how_to_repair, why_not
from vscugan.models.int8 import quantisation_of
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
    provider: str | None = None  #: of ONNX Runtime, on other devices than the CPU


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
        precisions=(*_ALL, "int8"),
    ),
} | {
    name: Backend(
        module="vscugan.runtime.onnx_runtime",
        package="onnxruntime",
        extra=name,
        devices=devices,
        precisions=precisions,
        provider=provider,
    )
    for name, devices, precisions, provider in (
        ("onnxruntime", ("cpu", "cuda"), ("fp32",), "CUDAExecutionProvider"),
        ("tensorrt", ("cuda",), ("fp32", "fp16"), "TensorrtExecutionProvider"),
        ("directml", ("cuda", "xpu"), ("fp32",), "DmlExecutionProvider"),
    )
}
#: The fastest first, of those that were measured: docs/speed.md. Everywhere else torch is.
FASTEST = {
    ("cpu", "fp32"): ("openvino", "onnxruntime"),
    ("cpu", "bf16"): ("openvino",),
    ("cpu", "fp16"): ("openvino",),
}
#: Only these can have it.
INT8_DEVICE, INT8_BACKEND = "cpu", "openvino"


def _missing(backend: Backend, device: torch.device) -> str | None:
    """Why a backend can't be used here, or None where it can."""
    try:
        module = importlib.import_module(backend.module)
    except Exception as error:  # whatever a broken installation raises
        return why_not(backend.package, error)
    # ONNX Runtime would go on with the CPU, and only warn
    if backend.provider and device.type != "cpu" and backend.provider not in module.available_providers():
        return f"an {backend.package} without {backend.provider}"
    return None


def pick_backend(name: str, device: torch.device, precision: str) -> tuple[str, str | None]:
    """The backend for ``name`` (``auto``: the fastest that is installed), and why a faster one was passed over.

    Raises: ArgumentError where the backend does not have the device or precision, DeviceError where it is
    not installed.
    """
    if precision == "int8":
        for argument, value, only in (("device", device.type, INT8_DEVICE), ("backend", name, INT8_BACKEND)):
            if value not in (only, "auto"):
                raise ArgumentError(
                    f"{argument} must be {only} for precision=int8, got {value}; use it, or precision=auto"
                )
        name = INT8_BACKEND
    if name == "auto":
        reasons: list[str] = []
        for candidate in FASTEST.get((device.type, precision), ()):
            backend = BACKENDS[candidate]
            if importlib.util.find_spec(backend.package) is None:
                continue  # not installed is no news
            why = _missing(backend, device)
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
    why = _missing(backend, device)
    if why is not None:
        # ONNX Runtime for CUDA is another package, the one that has TensorRT too
        extra = "tensorrt" if backend.provider and device.type == "cuda" and name != "directml" else backend.extra
        raise DeviceError(
            f"backend={name} must be installed, got {why}; {how_to_repair(extra or name, why)}, or use backend=auto"
        )
    return name, None


def is_native(backend: str, device: torch.device, precision: str) -> bool:
    """Whether a backend that ``pick_backend`` gave computes on the device in this precision by instructions for it.

    Else it would take longer than fp32, or be fp32 by another name. int8 has a refusal of its own.
    """
    if precision in ("fp32", "int8"):
        return True
    return precision in importlib.import_module(BACKENDS[backend].module).native_precisions(device)


def make_runtime(backend: str, weights: Weights, device: torch.device, precision: str) -> Runtime:
    """The runtime of a backend that ``pick_backend`` gave."""
    if backend == "torch":
        return TorchRuntime(
            weights.tensors, scale=weights.scale, pro=weights.pro, device=device, dtype=DTYPES[precision]
        )
    if backend == "openvino":
        from vscugan.runtime.openvino_runtime import OpenVinoRuntime, device_name

        quantisation = quantisation_of(weights) if precision == "int8" else None
        return OpenVinoRuntime(weights, device=device_name(device), precision=precision, quantisation=quantisation)
    from vscugan.runtime.onnx_runtime import OnnxRuntime

    provider = BACKENDS[backend].provider
    options: dict[str, Any] = {"device_id": device.index or 0}
    providers: list[tuple[str, dict[str, Any]]] = [("CPUExecutionProvider", {})]
    if backend == "tensorrt":
        providers.insert(0, ("CUDAExecutionProvider", options))  # for what TensorRT does not take
        options = options | {"trt_fp16_enable": precision == "fp16"}
        with suppress(OSError):  # a cache that can't be written costs minutes, not the clip
            options |= {"trt_engine_cache_path": str(ensure_folder("tensorrt")), "trt_engine_cache_enable": True}
    if provider and device.type != "cpu":
        providers.insert(0, (provider, options))
    return OnnxRuntime(weights, name=backend, providers=providers)
