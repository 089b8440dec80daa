"""What computes: a CPU, a GPU of torch's, or a graphics adapter that a runtime reaches by itself."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
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
        """Where torch's tensors live for it; torch must be there."""
        import torch

        if self.kind in ("cpu", "gpu"):
            return torch.device("cpu")
        return torch.device("mps") if self.kind == "mps" else torch.device(self.kind, self.index)


CPU = Device("cpu")

PROCESSORS = Path("/sys/devices/system/cpu")  #: of Linux

#: Of x86, the widest first: what torch asks of a CPU, in NumPy's words.
INSTRUCTION_SETS = {"avx512": ("AVX512VL", "AVX512BW", "AVX512DQ", "FMA3"), "avx2": ("AVX2", "FMA3")}


def instruction_set() -> str:
    """The widest vectors that torch would use on this CPU: ``avx512``, ``avx2``, ``neon``, or ``default`` for less.

    As torch does it follows the variable ATEN_CPU_CAPABILITY; torch itself is not loaded.
    """
    if platform.machine() in ("arm64", "aarch64"):
        return "neon"
    if (named := os.environ.get("ATEN_CPU_CAPABILITY")) in ("avx512", "avx2", "default"):
        return named
    core = "numpy._core" if importlib.util.find_spec("numpy._core") else "numpy.core"  # the latter before NumPy 2
    has: Mapping[str, bool] = importlib.import_module(f"{core}._multiarray_umath").__cpu_features__
    return next((name for name, needed in INSTRUCTION_SETS.items() if all(map(has.get, needed))), "default")


def cpu_threads() -> int:
    """How many threads compute on the CPU: its cores that this process may use, or what OMP_NUM_THREADS says."""
    named = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if named.isdigit() and int(named):
        return int(named)
    if not hasattr(os, "sched_getaffinity"):
        return psutil.cpu_count(logical=False) or os.cpu_count() or 1
    processors = os.sched_getaffinity(0)
    with suppress(OSError):  # two processors that share a core have the same list
        files = [PROCESSORS / f"cpu{n}/topology/thread_siblings_list" for n in processors]
        return len({file.read_text(encoding="ascii") for file in files})
    return len(processors)


def nvidia_driver() -> str:
    """The version of NVIDIA's driver, as nvidia-smi shows it; empty where there is none."""
    text = ctypes.create_string_buffer(80)
    with suppress(OSError, AttributeError):  # no library, or one without these functions
        library = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
        library.nvmlInit_v2()
        library.nvmlSystemGetDriverVersion(text, len(text))
        library.nvmlShutdown()
    return text.value.decode("ascii", "replace")
