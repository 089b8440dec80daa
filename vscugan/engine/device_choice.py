"""Which device computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vscugan import install
from vscugan.errors import DeviceError
from vscugan.models.whole_network import Form
from vscugan.runtime.backends import Backend, backend_row, backend_rows, is_usable, require_package
from vscugan.runtime.device import CPU, TORCH_GPUS, Adapter, Device, numbered
from vscugan.runtime.torch_build import may_see


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU of this machine.

    ``of_torch``: as torch knows it, None where it does not; ``reached_by``: the backends that reach it by themselves;
    ``refused_by``: those that do not take it, and why.
    """

    adapter: Adapter
    of_torch: Device | None
    reached_by: tuple[str, ...]
    refused_by: tuple[str, ...] = ()

    @property
    def reach(self) -> str:
        """Who reaches it and who does not, in words."""
        by = [*(["torch"] if self.of_torch else []), *self.reached_by]
        facts = [f"reached by {' and '.join(by)}"] if by else []
        return ", ".join([*facts, *(f"refused by {each}" for each in self.refused_by)])

    def device(self, index: int, backend: str) -> Device | None:
        """As ``backend`` knows it, None where it does not reach it; ``index``: in ``gpus``."""
        if self.of_torch is not None and (backend == "auto" or self.of_torch.kind in backend_row(backend).devices):
            return self.of_torch
        if self.reached_by if backend == "auto" else backend in self.reached_by:
            return Device("gpu", index, self.adapter)
        return None


def torch_count(kind: str) -> int:
    """How many devices of a kind torch sees, none where it does not load; it is loaded only where it may see any."""
    if kind == "cpu":
        return 1
    if not may_see(kind):
        return 0
    try:
        torch = install.torch()
    except Exception:  # whatever a broken installation raises; doctor says it
        return 0
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    module = {"cuda": torch.cuda, "xpu": torch.xpu}[kind]
    return module.device_count() if module.is_available() else 0


def _of_torch() -> Iterator[tuple[Adapter, Device]]:
    found = [Device(kind, n) for kind in TORCH_GPUS for n in range(torch_count(kind))]
    names = numbered(Adapter(name=torch_name(device)) for device in found)
    return zip(names, found, strict=True)


def torch_name(device: Device) -> str:
    """torch's name of one of its GPUs."""
    if device.kind == "mps":
        return "Apple GPU"
    return str(getattr(install.torch(), device.kind).get_device_name(device.index))


def gpus() -> list[Gpu]:
    """The GPUs that a runtime here reaches or refuses, in the order of ``gpu:N``.

    Those on cards of their own come first, those in software last; of equal ones torch's come first.
    """
    of_torch = dict(_of_torch())
    reached: dict[Adapter, list[str]] = {adapter: [] for adapter in of_torch}
    refused: dict[Adapter, list[str]] = {}
    described = {adapter: adapter for adapter in of_torch}
    for row in backend_rows():
        for adapter in row.adapters():
            reached.setdefault(adapter, [])
            if adapter.refusal:
                refused.setdefault(adapter, []).append(f"{row.name}: {adapter.refusal}")
            else:
                reached[adapter].append(row.name)
            if not described.setdefault(adapter, adapter).driver:  # torch, and not each runtime, tells it
                described[adapter] = adapter
    found = [
        Gpu(
            adapter=described[adapter],
            of_torch=of_torch.get(adapter),
            reached_by=tuple(names),
            refused_by=tuple(refused.get(adapter, ())),
        )
        for adapter, names in reached.items()
    ]
    return sorted(found, key=lambda gpu: (gpu.adapter.is_software, gpu.adapter.is_integrated))


def pick_device(name: str, backend: str = "auto", precision: str = "auto", form: Form = "layers") -> Device:
    """The device for ``auto``, ``cpu``, ``mps``, ``cuda``, ``xpu`` or ``gpu``, the last three with or without ``:N``.

    ``auto`` is the first that is there, of those that ``backend`` and ``precision`` can use where they can use any of
    them: torch's GPUs, another one on a card of its own, the CPU. An integrated GPU may be slower than the CPU beside
    it, and is taken where it is named. ``form``: of the weights. Raises: DeviceError when it is not there.
    """
    if name == "auto":
        return _auto(backend, precision, form)
    kind, _, index = name.partition(":")
    if kind == "gpu":
        return _named_gpu(name, int(index) if index else None, backend)
    count = torch_count(kind)
    if int(index or 0) >= count:
        raise DeviceError(
            f"device={name} must be one that torch sees, got {count} {kind.upper()} devices; "
            "use device=cpu, or check the driver and that torch is built for it"
        )
    return Device(kind, int(index or 0))


def _auto(backend: str, precision: str, form: Form) -> Device:
    rows = [row for row in backend_rows() if form in row.takes] if backend == "auto" else [backend_row(backend)]
    usable = {
        kind
        for row in rows
        for kind, precisions in row.devices.items()
        if (precision == "auto" or precision in precisions) and _is_there(row, kind, form)
    }
    present = [kind for kind in TORCH_GPUS if torch_count(kind)]
    for kind in present:
        if kind in usable:
            return Device(kind)
    if usable == {"gpu"}:
        return _named_gpu("gpu", None, backend)
    if "gpu" in usable:
        for index, gpu in enumerate(gpus()):
            device = gpu.device(index, backend)
            if device is not None and not (gpu.adapter.is_software or gpu.adapter.is_integrated):
                return device
    return CPU if "cpu" in usable or not present else Device(present[0])


def _is_there(row: Backend, kind: str, form: Form) -> bool:
    """Whether a backend that one of the forms is not left without may be chosen: torch runs all but ONNX."""
    return form != "onnx" or kind == "cpu" or is_usable(row, Device(kind))


def _named_gpu(name: str, number: int | None, backend: str) -> Device:
    found = gpus()
    devices = [(gpu, gpu.device(index, backend)) for index, gpu in enumerate(found)]
    if number is None:
        device = next((d for gpu, d in devices if d is not None and not gpu.adapter.is_software), None)
    else:
        device = devices[number][1] if number < len(devices) else None
    if device is None:
        if backend != "auto":
            require_package(backend_row(backend), "gpu")
        by = "a runtime here" if backend == "auto" else f"backend={backend}"
        listed = ", ".join(f"gpu:{n} {_described(gpu)}" for n, gpu in enumerate(found)) or "none"
        other = "device=cpu" if backend == "auto" or "cpu" in backend_row(backend).devices else "backend=auto"
        raise DeviceError(
            f"device={name} must be a GPU that {by} reaches, got {listed}; "
            f"use {other}, or install the GPU's driver and see vscugan doctor"
        )
    return device


def _described(gpu: Gpu) -> str:
    software = ", in software" if gpu.adapter.is_software else ""
    return f"{gpu.adapter.name} ({gpu.reach}{software})"
