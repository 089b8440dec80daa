"""What computes: a CPU, a GPU of torch's, or a graphics adapter that a runtime reaches by itself."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import torch

#: Kinds of devices that are torch's own, the CPU aside, in the order in which ``auto`` takes them.
TORCH_GPUS = ("cuda", "xpu", "mps")


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A GPU as its driver lists it. Two that are alike differ by ``nth``, from 0 in each runtime's list."""

    name: str
    nth: int = 0
    driver: str = field(default="", compare=False)
    memory_bytes: int | None = field(default=None, compare=False)  #: that is free, None = unknown
    is_integrated: bool = field(default=False, compare=False)  #: a part of the CPU's chip, in the host's memory
    is_software: bool = field(default=False, compare=False)  #: a CPU that plays a GPU
    refusal: str = field(default="", compare=False)  #: why the runtime that lists it does not take it


def numbered(adapters: Iterable[Adapter]) -> tuple[Adapter, ...]:
    """The adapters of one list, each with its ``nth``."""
    seen: Counter[str] = Counter()
    found = []
    for each in adapters:
        found.append(replace(each, nth=seen[each.name]))
        seen[each.name] += 1
    return tuple(found)


@dataclass(frozen=True)
class Device:
    """``kind``: ``cpu``, one of ``TORCH_GPUS``, or ``gpu`` for the ``adapter`` of this index."""

    kind: str
    index: int = 0
    adapter: Adapter | None = None

    def __str__(self) -> str:
        return self.kind if self.kind in ("cpu", "mps") else f"{self.kind}:{self.index}"

    @property
    def adapter_name(self) -> str:
        """The name of its adapter, empty where it has none."""
        return "" if self.adapter is None else self.adapter.name

    @property
    def tensors(self) -> torch.device:
        """Where the tensors live that its runtimes take and return."""
        if self.kind in ("cpu", "gpu"):
            return torch.device("cpu")
        return torch.device("mps") if self.kind == "mps" else torch.device(self.kind, self.index)


CPU = Device("cpu")


def instruction_set() -> str:
    """The widest vectors that torch may use on this CPU: ``avx512``, ``avx2``, ``neon``, or what torch calls it."""
    found = torch.backends.cpu.get_cpu_capability().lower()
    return "neon" if found == "default" and platform.machine() in ("arm64", "aarch64") else found


def nvidia_driver() -> str:
    """The version of NVIDIA's driver, as nvidia-smi shows it; empty where there is none."""
    text = ctypes.create_string_buffer(80)
    with suppress(OSError, AttributeError):  # no library, or one without these functions
        library = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
        library.nvmlInit_v2()
        library.nvmlSystemGetDriverVersion(text, len(text))
        library.nvmlShutdown()
    return text.value.decode("ascii", "replace")
