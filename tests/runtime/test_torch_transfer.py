"""Frames through page-locked memory, on a stand-in that computes on the CPU and arrives late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from support.frames import upscale
from torch import Tensor

from vscugan.engine.engine import Engine
from vscugan.engine.route import find_route
from vscugan.runtime import torch_transfer
from vscugan.runtime.torch_arrays import TorchArrays
from vscugan.runtime.torch_transfer import PinnedTransfer, TorchTransfer
from vscugan.settings import validate
from vscugan.tiling.geometry import Rectangle, Span

CPU = torch.device("cpu")


class Late:
    """Memory whose copies are there when the event behind them was waited for, and not before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pinned: list[int] = []  #: elements of each allocation
        self.calls: list[str] = []
        self._late: list[tuple[Tensor, Tensor]] = []
        real, late = Tensor.copy_, self

        def copy(into: Tensor, of: Tensor, non_blocking: bool = False) -> Tensor:
            if not non_blocking:
                return real(into, of)
            late._late.append((into, of.clone()))
            late.calls.append("copy")
            return real(into, torch.full_like(of, torch.nan))

        class Event:
            def __init__(self, *, blocking: bool) -> None:
                assert blocking

            def record(self) -> None:
                self.into, self.of = late._late.pop()
                late.calls.append("record")

            def synchronize(self) -> None:
                real(self.into, self.of)
                late.calls.append("wait")

        monkeypatch.setattr(Tensor, "copy_", copy)
        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch_transfer, "pinned", self._pinned)

    def _pinned(self, elements: int) -> Tensor:
        self.pinned.append(elements)
        return torch.full((elements,), torch.nan)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Iterator[Late]:
    with monkeypatch.context() as patched:
        yield Late(patched)


def test_channels_are_on_their_way_together_and_arrive_in_turn(late: Late) -> None:
    by, y = PinnedTransfer(CPU), torch.rand(3, 4, 6)
    wide = np.zeros((3, 4, 9), np.float32)
    by.write(y, list(wide[:, :, :6]))
    assert np.array_equal(wide[:, :, :6], y.numpy())
    assert not wide[:, :, 6:].any()
    assert late.calls == ["copy", "record"] * 3 + ["wait"] * 3


def test_memory_is_kept_and_grows_to_the_largest_frame(late: Late) -> None:
    by = PinnedTransfer(CPU)
    for height in (4, 2, 8, 4):
        x = np.random.default_rng(height).random((3, height, 5), np.float32)
        y = by.upload(x)
        assert np.array_equal(y[0].numpy(), x)
        by.write(y[0], list(np.zeros((3, height, 5), np.float32)))
    assert late.pinned == [60, 60, 120, 120]


def test_where_no_memory_can_be_locked_it_is_pageable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*shape: int, pin_memory: bool = False) -> Tensor:
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory")
        return real(*shape)

    real = torch.empty
    monkeypatch.setattr(torch, "empty", refused)
    assert torch_transfer.pinned(5).shape == (5,)


def test_only_cuda_needs_it() -> None:
    for device, kind in (("cpu", TorchTransfer), ("xpu:0", TorchTransfer), ("cuda:1", PinnedTransfer)):
        arrays = TorchArrays(torch.device(device), torch.float32, torch.channels_last)
        assert type(arrays.new_transfer()) is kind


@pytest.mark.parametrize("options", [{}, {"overshoot": "restore"}, {"scale": 6}])
def test_results_are_those_of_plain_copies(
    options: dict[str, Any], late: Late, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = (picture[:, 100:132, 200:240] * 1.2 - 0.1).astype(np.float32)
    plain = _engine(options)
    monkeypatch.setattr(TorchArrays, "new_transfer", lambda self: PinnedTransfer(self.device))
    engine = _engine(options)
    area = Rectangle(rows=Span(start=8, stop=24), columns=Span(start=8, stop=16))
    for source in (x, x[:, :24, :24]):
        assert np.array_equal(upscale(engine, source), upscale(plain, source))
        (pictures, gates), (wanted, same) = engine.render(source), plain.render(source)
        for each, all_pictures, used in ((engine, pictures, gates), (plain, wanted, same)):
            each.repaint(all_pictures, source[:, ::-1], [area], used)
        assert all(np.array_equal(a, b) for a, b in zip(pictures, wanted, strict=True))
    assert late.calls.count("copy") == late.calls.count("wait") > 0


def _engine(options: dict[str, Any]) -> Engine:
    settings = validate(backend="torch", tile=0, **options)
    return Engine(settings, find_route(settings, (40, 32), (240, 192)) if options.get("scale") == 6 else None)
