"""A device that computes on the CPU and behaves as CUDA does with graphs, streams, events and pinned memory."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import local
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CPU = torch.device("cpu")


@dataclass
class StandIn:
    """What was asked of the device, and what the test makes of it. ``calls``: in order."""

    calls: list[str] = field(default_factory=list)
    capturing: bool = False
    free_bytes: int = 1 << 40
    kept_bytes: int = 1 << 20  #: by torch, of memory that nobody uses
    segments: list[dict[str, Any]] = field(default_factory=list)  #: as torch.cuda.memory_snapshot lists them
    fail: Callable[[], None] = field(default=lambda: None)  #: called at the end of each capture


@dataclass(frozen=True)
class Stream:
    """One of torch's; those of one number are one stream, as torch hands its streams out again."""

    number: int = 0
    device: torch.device = CPU

    def synchronize(self) -> None: ...


class Event:
    """What it waits for is done already."""

    def __init__(self, *, blocking: bool) -> None: ...

    def record(self) -> None: ...

    def synchronize(self) -> None: ...


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps each operation with its tensors, as a capture does; what would wait for the device is refused."""

    def __init__(self, into: list[tuple[Any, Any, Any, Any]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._into = into

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name() in ("aten::_local_scalar_dense", "aten::item", "aten::is_nonzero"):
            raise RuntimeError("operation not permitted when stream is capturing")
        made = func(*args, **(kwargs or {}))
        self._into.append((func, args, kwargs or {}, made))
        return made


class Graph:
    """Runs the recorded operations again, on the memory of the capture."""

    def __init__(self, device: StandIn) -> None:
        self.device = device
        self.recorded: list[tuple[Any, Any, Any, Any]] = []

    def pool(self) -> int:
        return 7

    def replay(self) -> None:
        assert not self.device.capturing
        self.device.calls.append("replay")
        for func, args, kwargs, made in self.recorded:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(made), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@contextmanager
def capture(device: StandIn, graph: Graph, pool: Any, stream: Stream, capture_error_mode: str) -> Iterator[None]:
    assert capture_error_mode == "thread_local"
    assert not device.capturing
    assert not gc.isenabled()
    device.calls.append(f"capture in {'a new pool' if pool is None else f'pool {pool}'}")
    device.capturing = True
    try:
        with Recorder(graph.recorded):
            yield
        device.fail()
    finally:
        device.capturing = False


@contextmanager
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """``torch.cuda`` of such a device; runtimes on it are torch's on the CPU, with ``uses_graphs``."""
    device, current, numbers = StandIn(), local(), count(1)

    @contextmanager
    def on_stream(stream: Stream) -> Iterator[None]:
        before, current.stream = getattr(current, "stream", Stream()), stream
        yield
        current.stream = before

    def never_in_a_capture(name: str) -> Callable[..., None]:
        def call(*_: object) -> None:
            assert not device.capturing
            device.calls.append(name)
            if name == "empty_cache":
                device.kept_bytes = 0

        return call

    fakes: dict[str, Any] = {
        "CUDAGraph": lambda: Graph(device),
        "graph": lambda graph, **named: capture(device, graph, **named),
        "Event": Event,
        "Stream": lambda *_: Stream(next(numbers)),
        "stream": on_stream,
        "current_stream": lambda *_: getattr(current, "stream", Stream()),
        "synchronize": never_in_a_capture("synchronize"),
        "empty_cache": never_in_a_capture("empty_cache"),
        "memory_reserved": lambda *_: device.kept_bytes,
        "memory_snapshot": lambda: device.segments,
        "mem_get_info": lambda *_: (device.free_bytes, 1 << 41),
    }
    with monkeypatch.context() as patched:
        for name, fake in fakes.items():
            patched.setattr(torch.cuda, name, fake)
        yield device
