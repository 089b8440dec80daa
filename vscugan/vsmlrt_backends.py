"""vs-mlrt's ``Backend`` objects, in the options of Upscale.

They are known by the name of their class, so that those of vs-mlrt are taken without importing it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import SimpleNamespace
from typing import Any, TypedDict

import vapoursynth as vs

from vscugan.option_values import listed
from vscugan.runtime.backends import backend_row


class Carried(TypedDict, total=False):
    """The options of Upscale that a ``Backend`` has values for."""

    backend: str
    device: str
    precision: str
    streams: int
    format: int


@dataclass(frozen=True)
class _Counterpart:
    """What computes here: ``backend`` and the kind of ``device``, as Upscale has them."""

    backend: str
    device: str


COUNTERPARTS = {
    "OV_CPU": _Counterpart("openvino", "cpu"),
    "OV_GPU": _Counterpart("openvino", "xpu"),
    "ORT_CPU": _Counterpart("onnxruntime", "cpu"),
    "ORT_CUDA": _Counterpart("onnxruntime", "cuda"),
    "ORT_DML": _Counterpart("directml", "auto"),
    "TRT": _Counterpart("tensorrt", "cuda"),
    "TRT_RTX": _Counterpart("tensorrt", "cuda"),
    "NCNN_VK": _Counterpart("ncnn", "gpu"),
}
#: Fields that are carried over, and those that only say what is written to the log.
CARRIED = {"fp16", "bf16", "force_fp16", "num_streams", "device_id", "output_format"}
ONLY_LOGGING = {"verbose", "verbosity", "log"}


class Backend:
    """vs-mlrt's backends for scripts that name them, each with vs-mlrt's fields, given by name."""

    class OV_CPU(SimpleNamespace):
        """OpenVINO on a CPU."""

    class OV_GPU(SimpleNamespace):
        """OpenVINO on an Intel GPU."""

    class ORT_CPU(SimpleNamespace):
        """ONNX Runtime on a CPU."""

    class ORT_CUDA(SimpleNamespace):
        """ONNX Runtime on an NVIDIA GPU."""

    class ORT_DML(SimpleNamespace):
        """ONNX Runtime on a GPU on Windows."""

    class TRT(SimpleNamespace):
        """TensorRT on an NVIDIA GPU."""

    class TRT_RTX(SimpleNamespace):
        """TensorRT for RTX, for which TensorRT is taken."""

    class NCNN_VK(SimpleNamespace):
        """ncnn on any GPU by Vulkan."""

    class MIGX(SimpleNamespace):
        """MIGraphX, which is not here: refused where it is used."""

    class OV_NPU(SimpleNamespace):
        """OpenVINO on Intel's NPUs, which is not here: refused where it is used."""

    class ORT_COREML(SimpleNamespace):
        """Core ML, which is not here: refused where it is used."""


BackendV2 = Backend


def carry_over(backend: object, error: Callable[[str], vs.Error], log: Callable[[str], None]) -> Carried:
    """The options of Upscale for a ``Backend``, for a name that Upscale takes, or for None, which leaves all out.

    ``error`` makes the exception of a text, ``log`` writes a line to the core's log.
    Raises: vs.Error where vs-mlrt's backend has no counterpart here.
    """
    if backend is None:
        return {}
    if isinstance(backend, str):
        return {"backend": backend}
    name = backend.__name__ if isinstance(backend, type) else type(backend).__name__
    if name not in COUNTERPARTS:
        raise error(
            f"backend must be {listed([f'Backend.{each}()' for each in COUNTERPARTS])}, or a name that Upscale takes, "
            f"got {name}; leave it out for the fastest that is here"
        )
    counterpart = COUNTERPARTS[name]
    given = {} if isinstance(backend, type) else _given_fields(backend)
    precision = "fp16" if given.get("fp16") or given.get("force_fp16") else "bf16" if given.get("bf16") else "fp32"
    options: Carried = {"backend": counterpart.backend, "device": counterpart.device, "precision": precision}
    if precision not in _precisions(counterpart):
        log(f"backend={counterpart.backend} has no {precision} here; the fastest that has it is taken")
        options["backend"] = "auto"
    without_effect = set(given) - CARRIED - ONLY_LOGGING
    if isinstance(streams := given.get("num_streams", 1), int):
        if streams != 1:
            options["streams"] = streams
    else:
        without_effect.add("num_streams")
    number = given.get("device_id", 0)
    if counterpart.device in ("cuda", "xpu") or (counterpart.device == "gpu" and number):
        options["device"] = f"{counterpart.device}:{number}"
        if counterpart.device == "gpu":
            log(f"device_id={number} is gpu:{number}, in the order that vscugan doctor lists")
    elif number:
        without_effect.add("device_id")
    if given.get("output_format") == 1:
        options["format"] = vs.RGBH
    if without_effect:
        log(f"{', '.join(sorted(without_effect))} of Backend.{name} has no effect here")
    return options


def _precisions(counterpart: _Counterpart) -> tuple[str, ...]:
    row = backend_row(counterpart.backend)
    return row.precisions if counterpart.device == "auto" else row.devices[counterpart.device]


def _given_fields(backend: object) -> dict[str, Any]:
    """The fields that have another value than by default."""
    if not is_dataclass(backend):
        return dict(vars(backend))
    given = {}
    for field in fields(backend):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.init and getattr(backend, field.name) != default:
            given[field.name] = getattr(backend, field.name)
    return given
