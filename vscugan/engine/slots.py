"""Where frames are computed: a slot for each frame in flight, on one device or several."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import PriorityQueue

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vscugan.engine.network_pass import NetworkPass
from vscugan.engine.transfer import PinnedTransfer
from vscugan.runtime.device import Device
from vscugan.runtime.workspace import Workspace


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
    transfer: PinnedTransfer | None  #: None where the runtime's tensors are not on CUDA


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
    def taken(self, source: NDArray[np.float32], *, whole: bool = True) -> Iterator[tuple[DeviceSlot, Tensor]]:
        """The first free slot of the first device that has one, and (3, H, W) as a (1, 3, H, W) tensor on its device.

        ``whole``: for ``spent``. Waits where none is free.
        """
        number = self._free.get()
        slot = self._slots[number]
        try:
            start = time.perf_counter()
            with torch.inference_mode(), _on_stream(slot.stream):
                x = torch.from_numpy(np.require(source, requirements=["C", "W"]))
                yield slot, _on_device(x, slot).unsqueeze_(0)
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


def _on_device(x: Tensor, slot: DeviceSlot) -> Tensor:
    """A picture where the runtime's tensors live; on the host it is not copied."""
    device = slot.passes[0].runtime.device
    return x.to(device) if slot.transfer is None else slot.transfer.upload(x, device)


def new_stream(device: Device) -> torch.cuda.Stream | None:
    """A stream for the frames of a slot; None where the device is not CUDA's."""
    return torch.cuda.Stream(device.tensors) if device.kind == "cuda" else None  # type: ignore[no-untyped-call]


@contextmanager
def _on_stream(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """What is asked of the stream meanwhile is done at the end, after an error, too: the next frame uses its memory."""
    if stream is None:
        yield
        return
    with torch.cuda.stream(stream):
        try:
            yield
        finally:
            stream.synchronize()
