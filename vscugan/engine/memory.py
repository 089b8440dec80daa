"""How much memory is free, on a device or on the host, and how to have more of it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import psutil

from vscugan import install
from vscugan.runtime.device import TORCH_GPUS, Adapter, Device
from vscugan.runtime.vulkan import free_memory

#: where no one tells how much a GPU has, plan for a small one
_UNKNOWN_BYTES = 4 << 30
#: of this process, in a container on Linux
CGROUP = Path("/sys/fs/cgroup")


def free_bytes(device: Device) -> int:
    """Free bytes of the device's memory; of the host's, its cgroup's limit included, for CPUs, GPUs that share it, and
    those in software.

    Where no one tells them of a GPU, they are those of a small one.
    """
    if device.kind == "gpu":
        return _free_of(device.adapter)
    if device.kind in ("cuda", "xpu"):
        with suppress(RuntimeError):  # an integrated GPU has the host's, and can't tell
            return int(getattr(install.torch(), device.kind).mem_get_info(device.tensors)[0])
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
    return min(int(psutil.virtual_memory().available), _cgroup_left())


def release_memory(device: Device) -> bool:
    """Give back what torch keeps of a device's memory; returns whether CUDA graphs were freed, too.

    Then the same plan may fit.
    """
    if device.kind == "cuda":
        from vscugan.runtime.cuda_graphs import release_graphs

        return release_graphs(device.tensors)
    if device.kind in TORCH_GPUS:
        getattr(install.torch(), device.kind).empty_cache()
    return False


def _cgroup_left() -> int:
    """What a container's limit leaves over; the host's memory where there is no limit."""
    try:
        limit = int((CGROUP / "memory.max").read_text(encoding="ascii"))  # "max" where there is none
        used = int((CGROUP / "memory.current").read_text(encoding="ascii"))
        stat = (CGROUP / "memory.stat").read_text(encoding="ascii")
    except (OSError, ValueError):
        return 1 << 62
    cached = re.search(r"^inactive_file (\d+)$", stat, re.MULTILINE)  # files that were read, dropped at need
    return max(0, limit - used + (int(cached[1]) if cached else 0))
