"""torch as a backend: what it can do is told without loading it."""

from __future__ import annotations

from collections.abc import Mapping

from vscugan import install
from vscugan.models.weights import Weights, form_of
from vscugan.runtime.backends import Backend
from vscugan.runtime.device import TORCH_GPUS, Device
from vscugan.runtime.protocol import Runtime

package = install.torch
PRECISIONS = ("fp32", "fp16", "bf16")


def native_precisions(device: Device) -> tuple[str, ...]:
    """The precisions below fp32 that a device has instructions for.

    On a CPU what the CPU has and oneDNN, which computes the convolutions, may use; where torch does not
    report what the CPU has (before 2.10) that counts as none.
    """
    torch = package()
    if device.kind == "cuda":
        return ("fp16", "bf16") if torch.cuda.get_device_capability(device.tensors) >= (8, 0) else ("fp16",)
    if device.kind != "cpu":
        return ("fp16", "bf16")
    cpu: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return tuple(
        precision
        for precision in ("fp16", "bf16")
        if (cpu.get(f"avx512_{precision}") or cpu.get(f"amx_{precision}"))
        and getattr(torch.ops.mkldnn, f"_is_mkldnn_{precision}_supported")()
    )


def _make(weights: Weights, device: Device, precision: str) -> Runtime:
    from vscugan.runtime.cuda_graphs import synchronize
    from vscugan.runtime.module_runtime import ModuleRuntime
    from vscugan.runtime.torch_runtime import DTYPES, TorchRuntime

    kind = ModuleRuntime if form_of(weights) == "module" else TorchRuntime
    runtime = kind(weights, device.tensors, DTYPES[precision])
    if device.kind == "cuda":  # other streams must not read parameters that are still on their way
        synchronize(device.tensors)
    return runtime


ROWS = (
    Backend(
        name="torch",
        package="torch",
        distributions=("torch",),
        devices=dict.fromkeys(("cpu", *TORCH_GPUS), PRECISIONS),
        load=package,
        takes=("layers", "module"),
        make=_make,
        native_precisions=lambda device: native_precisions(device),  # which tests replace
        out_of_memory=("can't allocate memory", "not enough memory"),  # of a CPU; Linux and Windows
        # on two CPU cores two frames gain torch 10 % and OpenVINO nothing, while each has half of the memory: not worth
        # features that must be computed again
        streams={"cuda": 2},
    ),
)
