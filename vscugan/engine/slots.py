"""Where frames are computed: a slot for each frame in flight, on one device or several."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from queue import PriorityQueue
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vscugan.engine.network_pass import NetworkPass
from vscugan.runtime.arrays import Array, Arrays, Transfer
from vscugan.runtime.device import Device
from vscugan.runtime.workspace import Workspace

if TYPE_CHECKING:
    import torch


@dataclass(kw_only=True)
class Spent:
    """Time that devices have computed, not counting what frames waited for them.

    Of whole frames, the first one in each workspace does not count: it warms up.
    """

    whole_frames: int = 0
    whole_s: float = 0.0
    part_s: float = 0.0  #: on parts of frames


@dataclass(frozen=True, kw_only=True)
class DeviceSlot:
    """A place for one frame in flight on a device: the passes there, which its slots share, and what it uses again.

    CUDA's allocator keeps memory for each stream: a slot keeps its stream, so that its next frame finds that memory.
    With two slots, one's frame is copied while the other's is computed; more of them only wait for each other, and
    each has memory, and graphs (see ``cuda_graphs``), of its own.
    """

    device: Device
    backend: str
    passes: tuple[NetworkPass, ...]
    stream: torch.cuda.Stream | None  #: None where the device is not CUDA's
    workspace: Workspace
    transfer: Transfer

    @property
    def arrays(self) -> Arrays:
        """What pictures are made of here."""
        return self.passes[0].runtime.arrays

    def computing(self) -> AbstractContextManager[object]:
        """What is entered while a frame is computed."""
        if self.stream is None:
            return self.arrays.computing()
        from vscugan.runtime.torch_transfer import on_stream

        return on_stream(self.stream)


class DeviceSlots:
    """Hands out slots, those of the first device first. Safe to call from several threads.

    ``slots``: in order of preference.
    """

    def __init__(self, slots: Sequence[DeviceSlot]) -> None:
        self.spent, self._spent_lock = Spent(), threading.Lock()
        self._slots = slots
        self._free: PriorityQueue[int] = PriorityQueue()  # of the slots' numbers
        for number in range(len(slots)):
            self._free.put(number)

    @contextmanager
    def taken(self, source: NDArray[np.float32], *, whole: bool = True) -> Iterator[tuple[DeviceSlot, Array]]:
        """The first free slot of the first device that has one, and (3, H, W) as (1, 3, H, W) there.

        ``whole``: for ``spent``. Waits where none is free.
        """
        number = self._free.get()
        slot = self._slots[number]
        try:
            start = time.perf_counter()
            with slot.computing():
                yield slot, slot.transfer.upload(np.require(source, requirements=["C", "W"]))
            seconds = time.perf_counter() - start
            is_counted = whole and slot.workspace.is_warm
            slot.workspace.is_warm |= whole
            with self._spent_lock:
                self.spent.whole_frames += is_counted
                self.spent.whole_s += seconds if is_counted else 0
                self.spent.part_s += 0 if whole else seconds
        finally:
            slot.workspace.give_all()
            self._free.put(number)


def new_stream(device: Device) -> torch.cuda.Stream | None:
    """A stream for the frames of a slot; None where the device is not CUDA's."""
    if device.kind != "cuda":
        return None
    import torch

    return torch.cuda.Stream(device.tensors)  # type: ignore[no-untyped-call]
