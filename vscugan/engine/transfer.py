"""A frame's way to a CUDA device and back, beside what the device computes for another frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def pinned(elements: int) -> Tensor:
    """Page-locked host memory, fp32; pageable where the system has no more of it, which copies more slowly.

    Fresh for each frame, it would cost the system more time than the copy.
    """
    try:
        return torch.empty(elements, pin_memory=True)
    except RuntimeError:
        return torch.empty(elements)


class PinnedTransfer:
    """Copies a slot's frames through page-locked memory, which is kept and grows to the largest frame.

    The device copies from and to such memory while it computes for another slot. Copies are made on the current
    stream. Belongs to one frame at a time, whose end waits for the stream.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def _memory(self, use: str, shape: Sequence[int]) -> Tensor:
        elements = torch.Size(shape).numel()
        if use not in self._kept or self._kept[use].numel() < elements:
            self._kept[use] = pinned(elements)
        return self._kept[use][:elements].view(tuple(shape))

    def upload(self, x: Tensor, device: torch.device) -> Tensor:
        """``x`` on the device, once the stream comes to it; once a frame."""
        return self._memory("upload", x.shape).copy_(x).to(device, non_blocking=True)

    def download(self, channels: Iterable[Tensor], planes: Sequence[Tensor]) -> None:
        """Write channels (h, w) fp32 on the device into planes on the host, one while the next is on its way."""
        shape = planes[0].shape
        buffers = self._memory("download", (len(planes), *shape))
        arrivals: list[torch.cuda.Event] = []
        for channel, buffer in zip(channels, buffers, strict=True):
            buffer.copy_(channel, non_blocking=True)
            arrivals.append(torch.cuda.Event(blocking=True))  # type: ignore[no-untyped-call]  # sleeps, does not spin
            arrivals[-1].record()
        for plane, buffer, arrival in zip(planes, buffers, arrivals, strict=True):
            arrival.synchronize()
            plane.copy_(buffer)


def transfer_for(device: torch.device) -> PinnedTransfer | None:
    """How a slot's frames come to tensors on a device; None where nothing but a plain copy is needed."""
    return PinnedTransfer() if device.type == "cuda" else None
