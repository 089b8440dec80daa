"""How much memory is free, on a device or on the host, and how to have more of it."""

from __future__ import annotations

import importlib
import os
from contextlib import suppress
from pathlib import Path

from vscugan.runtime.device import TORCH_GPUS, Adapter, Device
from vscugan.runtime.vulkan import free_memory

#: where the system does not tell, plan for a small machine
_UNKNOWN_BYTES = 4 << 30


def free_bytes(device: Device) -> int:
    """Free bytes of the device's memory; of the host's, its cgroup's limit included, for CPUs, GPUs that share it, and
    those in software.

    Where no one tells them of a GPU, it is planned for as a small one.
    """
    if device.kind == "gpu":
        return _free_of(device.adapter)
    if device.kind in ("cuda", "xpu"):
        with suppress(RuntimeError):  # an integrated GPU has the host's, and can't tell
            return int(getattr(importlib.import_module("torch"), device.kind).mem_get_info(device.tensors)[0])
    return _free_of_host()


def _free_of(adapter: Adapter | None) -> int:
    """Free bytes for a GPU that torch does not reach."""
    assert adapter is not None  # those of the kind ``gpu`` have one
    if adapter.is_software:
        return _free_of_host()
    own = free_memory(adapter)
    if own is None:
        return min(_UNKNOWN_BYTES, _free_of_host())
    return min(own, _free_of_host()) if adapter.is_integrated else own


def _free_of_host() -> int:
    return min(_host_available(), _cgroup_left())


def release_memory(device: Device) -> bool:
    """Give back what torch keeps of a device's memory; returns whether CUDA graphs were freed, too.

    Then the same plan may fit.
    """
    if device.kind == "cuda":
        from vscugan.runtime.cuda_graphs import release_graphs

        return release_graphs(device.tensors)
    if device.kind in TORCH_GPUS:
        getattr(importlib.import_module("torch"), device.kind).empty_cache()
    return False


def _host_available() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN_BYTES


def _cgroup_left() -> int:
    """What a container's limit leaves over; the host's memory where there is no limit."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
        return max(0, int(limit) - used) if limit != "max" else 1 << 62
    except (OSError, ValueError):
        return 1 << 62
