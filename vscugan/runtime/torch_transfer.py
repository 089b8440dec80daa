"""A frame's way to a device of torch's and back; with CUDA, beside what the device computes for another frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class TorchTransfer:
    """Plain copies; none where the device is the CPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def upload(self, picture: NDArray[np.float32]) -> Tensor:
        """See ``Transfer``."""
        return torch.from_numpy(picture).to(self._device).unsqueeze(0)

    def write(self, y: Tensor, planes: Sequence[NDArray[np.float32]], over: Tensor | None = None) -> None:
        """See ``Transfer``."""
        targets = [torch.from_numpy(plane) for plane in planes]
        if over is None and y.device.type == "cpu":
            for channel, plane in zip(y, targets, strict=True):
                torch.clamp(channel, 0, 1, out=plane)
            return
        for channel, plane in zip(clipped(y, over), targets, strict=True):
            plane.copy_(channel)


def clipped(y: Tensor, over: Tensor | None) -> Iterable[Tensor]:
    """The channels of (3, h, w) in 0..1, each when it is asked for, with ``over`` added then."""
    channels = (channel.clamp(0, 1) for channel in y)
    return channels if over is None else map(torch.add, channels, over)


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

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._kept: dict[str, Tensor] = {}

    def _memory(self, use: str, shape: Sequence[int]) -> Tensor:
        elements = torch.Size(shape).numel()
        if use not in self._kept or self._kept[use].numel() < elements:
            self._kept[use] = pinned(elements)
        return self._kept[use][:elements].view(tuple(shape))

    def upload(self, picture: NDArray[np.float32]) -> Tensor:
        """See ``Transfer``: it is there once the stream comes to it."""
        buffer = self._memory("upload", picture.shape)
        return buffer.copy_(torch.from_numpy(picture)).to(self._device, non_blocking=True).unsqueeze(0)

    def write(self, y: Tensor, planes: Sequence[NDArray[np.float32]], over: Tensor | None = None) -> None:
        """See ``Transfer``: each channel is written while the next one is on its way."""
        buffers = self._memory("download", (len(planes), *planes[0].shape))
        arrivals: list[torch.cuda.Event] = []
        for channel, buffer in zip(clipped(y, over), buffers, strict=True):
            buffer.copy_(channel, non_blocking=True)
            arrivals.append(torch.cuda.Event(blocking=True))  # type: ignore[no-untyped-call]  # sleeps, does not spin
            arrivals[-1].record()
        for plane, buffer, arrival in zip(planes, buffers, arrivals, strict=True):
            arrival.synchronize()
            torch.from_numpy(plane).copy_(buffer)


@contextmanager
def on_stream(stream: torch.cuda.Stream) -> Iterator[None]:
    """What is asked of the stream meanwhile is done at the end, after an error, too: the next frame uses its memory."""
    with torch.inference_mode(), torch.cuda.stream(stream):
        try:
            yield
        finally:
            stream.synchronize()
