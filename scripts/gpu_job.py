"""What the sections of gpu_check share: their task, art to work on, and a row for each finding."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vscugan.engine.engine import Engine
from vscugan.runtime import cuda_graphs

ROOT = Path(__file__).resolve().parent.parent
#: real art, 640x360; a folder of gpu_pack has it decoded, because a bare machine may have no reader of PNG
PICTURE = ROOT / "tests" / "data" / "sylvie_green_uni_640x360.png"
ART = "art.npy"
#: what the README promises: errors of a range of 1
FP32_ERROR, FP16_DECIBELS, TILE_ERROR = 1e-4, 50.0, 2e-5

#: A finding: at least ``case`` and ``ok``; figures have their units in their names.
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Job:
    """The task of a section. ``device`` is as Upscale takes it; ``deadline``: by time.monotonic()."""

    device: str
    small: bool
    deadline: float
    folder: Path | None  #: of gpu_pack

    def __post_init__(self) -> None:
        if self.is_cuda and ":" in self.device:  # torch.cuda's functions speak of the current device
            torch.cuda.set_device(self.device)

    @property
    def is_cuda(self) -> bool:
        """Whether torch's functions for CUDA can be asked."""
        return self.device.startswith("cuda")

    @property
    def left_s(self) -> float:
        """Seconds until nothing new is to be begun."""
        return self.deadline - time.monotonic()

    def synchronize(self) -> None:
        """Wait until the device has done what it was asked for."""
        if self.is_cuda:
            torch.cuda.synchronize()

    def allocated_bytes(self) -> int:
        """What torch holds on the device."""
        return torch.cuda.memory_allocated() if self.is_cuda else 0

    def begin_peak(self) -> int:
        """Give back what is not in use, and watch the peak from here on; returns what stays allocated."""
        gc.collect()
        if self.is_cuda:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        return self.allocated_bytes()

    def peak_mib(self, base_bytes: int) -> float | None:
        """MiB of torch's tensors at most since ``begin_peak``, over its base; None where the device can't tell."""
        return round((torch.cuda.max_memory_allocated() - base_bytes) / 2**20, 1) if self.is_cuda else None

    def reserved_mib(self) -> float | None:
        """MiB that torch had from the driver at most since ``begin_peak``, what it keeps for later among it."""
        return round(torch.cuda.max_memory_reserved() / 2**20, 1) if self.is_cuda else None


class Graphs:
    """The CUDA graphs of frames in flight whose first frame comes between here and ``close``."""

    def __init__(self) -> None:
        self._others = weakref.WeakSet(cuda_graphs._slots)
        self._slots: list[cuda_graphs.SlotGraphs] | None = None

    def close(self) -> int:
        """Watch those that there are, and no more; returns ``count``."""
        self._slots = [slot for workspace, slot in cuda_graphs._slots.items() if workspace not in self._others]
        return self.count

    @property
    def count(self) -> int:
        """How many there are now: an out-of-memory anywhere on the device frees them."""
        return sum(len(slot.graphs) for slot in self._slots or ())


NO_TIME = "no time"


def finding(job: Job, case: str, check: Callable[[], Row]) -> Row:
    """The check's row; where it raises, a row that says what, and one that says so where there is no time for it."""
    if job.left_s <= 0:
        return {"case": case, "ok": True, "absent": NO_TIME}
    start = time.perf_counter()
    try:
        row = check()
    except Exception as error:  # the next case may be right
        row = {"ok": False, "error": f"{type(error).__name__}: {error}"[:2000]}
    return {"case": case, **row, "seconds": round(time.perf_counter() - start, 2)}


@cache
def art(folder: Path | None) -> NDArray[np.float32]:
    """(3, 360, 640) fp32 in 0..1: real art."""
    if folder is not None:
        pixels = np.load(folder / ART)
    else:
        from PIL import Image

        pixels = np.asarray(Image.open(PICTURE).convert("RGB"))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1).astype(np.float32) / 255)


def crop(job: Job, height: int, width: int) -> NDArray[np.float32]:
    """A detail of the art, (3, height, width)."""
    return np.ascontiguousarray(art(job.folder)[:, 60 : 60 + height, 200 : 200 + width])


def enlarged_art(job: Job, height: int, width: int) -> NDArray[np.float32]:
    """The art at any size, (3, height, width) in 0..1."""
    x = torch.from_numpy(art(job.folder))[None]
    y: Tensor = torch.nn.functional.interpolate(x, (height, width), mode="bicubic", align_corners=False)
    return y[0].clamp(0, 1).numpy()


def upscaled(engine: Engine, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3, H, W) through an engine, (3, scale*H, scale*W)."""
    out = np.full((3, x.shape[1] * engine.scale, x.shape[2] * engine.scale), np.nan, np.float32)
    engine.upscale(x, list(out))
    return out


def largest(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """The largest difference of two pictures; NaN where one holds NaN."""
    return float(np.abs(a.astype(np.float64) - b).max())
