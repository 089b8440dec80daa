"""CUDA graphs: what a whole frame asks of the GPU is captured once, and launched in one call for later frames.

A graph replays the kernels that it was captured with. Calls without a graph give the same bits where cuDNN chooses the
same kernels for them; it chooses in each thread, and passes over a kernel whose workspace does not fit into memory.

What a graph computes on stays taken as long as it lives, which is what a frame takes anyway. The graphs of a slot share
it, since a slot computes one frame at a time: what one returns may be overwritten by the next one. They are captured on
the slot's own stream, and replayed there.

What is captured must not use cuBLAS: its workspaces belong to a stream, and newer versions of torch free them with any
graph of that stream, while others still use them (pytorch/pytorch#193402). ``GateLayers`` does without.
"""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from vscugan.runtime.protocol import Gates, PassOptions
from vscugan.runtime.workspace import Workspace

logger = logging.getLogger(__name__)

#: Frames that are alike for the network, among the latest ones, after which the next ones have a graph: a capture costs
#: more than one frame.
FRAMES_BEFORE_CAPTURE = 4
#: Of what a frame takes, what must be free beside it for a capture: other slots and programs take memory meanwhile.
SPARE_SHARE = 0.25
#: Of a slot: each pass of a route needs its own.
MOST_GRAPHS = 8
#: Runs of the network without a graph that a slot remembers: with ``MOST_GRAPHS`` kinds in turn each is captured, with
#: one more none is, because each would drive out another.
LATEST = (MOST_GRAPHS + 1) * (FRAMES_BEFORE_CAPTURE - 1)

#: All stages on a padded picture -> (1, 3, scale*H, scale*W) fp32 and the gates, without waiting for the device; a
#: bound method, which keeps the parameters that a graph reads.
type Network = Callable[[Tensor, PassOptions], tuple[Tensor, Gates]]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a graph depends on, beside values that are copied into its memory."""

    network: Network
    shape: torch.Size  #: of the padded picture
    alpha: float | None  #: None where gates are given, alpha in them


class CapturedNetwork:
    """A graph with its memory. Captured on the current stream, which must be none of torch's default ones."""

    def __init__(self, network: Network, padded: Tensor, options: PassOptions, pool: Any) -> None:
        self._padded = padded.clone()
        self._given = tuple(gate.clone() for gate in options.gates or ())
        self._graph = torch.cuda.CUDAGraph()
        captured = replace(options, gates=options.gates and self._given)
        # other threads go on meanwhile: what they ask of CUDA is no error, and no part of the graph
        stream = torch.cuda.current_stream(padded.device)
        with (
            _nothing_collected(),
            torch.cuda.graph(self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"),
        ):
            self._result = network(self._padded, captured)

    @property
    def pool(self) -> Any:
        """Where its memory comes from."""
        return self._graph.pool()

    def replay(self, padded: Tensor, gates: Gates | None) -> tuple[Tensor, Gates]:
        """What the network returns for this picture and these gates.

        The picture is in memory that the next replay of this slot's graphs overwrites, the gates are not.
        """
        self._padded.copy_(padded)
        for mine, given in zip(self._given, gates or (), strict=True):
            mine.copy_(given)
        self._graph.replay()
        y, own = self._result
        return y, gates or tuple(gate.clone() for gate in own)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Python frees no cycles meanwhile: a graph among them, freed by the thread of a capture, would break the capture.

    torch collects before a capture in some versions only (pytorch/pytorch#161037).
    """
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(kw_only=True)
class SlotGraphs:
    """The graphs of one slot, and what it has lately run without one."""

    stream: torch.cuda.Stream
    graphs: dict[Situation, CapturedNetwork] = field(default_factory=dict)  #: what was used last comes last
    latest: deque[Situation] = field(default_factory=lambda: deque(maxlen=LATEST))
    is_off: bool = False  #: captures no more

    def is_due(self, situation: Situation) -> bool:
        """Whether a graph is worth it, after one more frame that had none."""
        self.latest.append(situation)
        return self.latest.count(situation) >= FRAMES_BEFORE_CAPTURE and not self.is_off

    def find(self, situation: Situation) -> CapturedNetwork | None:
        """The graph for it, which counts as used; None where there is none."""
        graph = self.graphs.pop(situation, None)
        if graph is not None:
            self.graphs[situation] = graph
        return graph

    def capture(self, situation: Situation, padded: Tensor, options: PassOptions) -> None:
        """Capture a graph in the memory of the slot's others; where they are too many, the one unused longest goes."""
        self.stream.synchronize()  # none of them runs
        while len(self.graphs) >= MOST_GRAPHS:
            del self.graphs[next(iter(self.graphs))]
        pool = next((graph.pool for graph in self.graphs.values()), None)
        self.graphs[situation] = CapturedNetwork(situation.network, padded, options, pool)


#: Held while a graph is captured or launched, and while a device's memory is freed: a capture bears neither another one
#: nor that torch waits for the whole device or frees what it keeps. Graphs that go with their slot go without it.
capture_lock = threading.Lock()
_pauses: set[object] = set()
_slots: weakref.WeakKeyDictionary[Workspace, SlotGraphs] = weakref.WeakKeyDictionary()


def run_by_graph(network: Network, padded: Tensor, workspace: Workspace, options: PassOptions) -> tuple[Tensor, Gates]:
    """What ``network`` returns, by a graph where this slot has one for it.

    Arguments and result as of ``Runtime.run_network``, for whole pictures; the workspace stands for the slot, whose
    stream is the current one. Where no graph can be captured, that is logged once, and the network runs as it is.
    """
    alpha = options.alpha if options.gates is None else None
    situation = Situation(network=network, shape=padded.shape, alpha=alpha)
    with capture_lock:
        stream = torch.cuda.current_stream(padded.device)
        slot = _slots.setdefault(workspace, SlotGraphs(stream=stream))
        graph = slot.find(situation)
        if graph is not None:
            return graph.replay(padded, options.gates)
    result = network(padded, options)  # also what makes the libraries ready for the capture, in this very thread
    if slot.is_due(situation):
        with capture_lock:
            if not _pauses:
                _try_to_capture(slot, situation, padded, options)
    return result


@contextmanager
def captures_paused() -> Iterator[None]:
    """No graph is captured meanwhile: for what uses the device in ways that a capture does not bear."""
    pause = object()
    with capture_lock:
        _pauses.add(pause)
    try:
        yield
    finally:
        with capture_lock:
            _pauses.remove(pause)


def _try_to_capture(slot: SlotGraphs, situation: Situation, padded: Tensor, options: PassOptions) -> None:
    """Capture a graph for the frames to come, or turn the slot's captures off."""
    # torch hands its 32 streams out again: what another slot asks of this one would become part of the graph
    if any(other is not slot and other.stream == slot.stream for other in _slots.values()):
        slot.is_off = True
        logger.info("CUDA graphs are off for a frame in flight that shares its stream with another one")
        return
    try:
        if has_room(padded.device):
            slot.capture(situation, padded, options)
        else:
            slot.is_off = True
            logger.info("CUDA graphs are off: memory on %s is short", padded.device)
    except Exception as error:  # whatever memory, driver or libraries have against it
        slot.is_off = True
        _warn_once(f"CUDA graphs must be captured, got {error}; frames are computed without, which may be slower")


def has_room(device: torch.device) -> bool:
    """Give back what torch keeps of the frames before; returns whether a capture that takes as much is safe.

    Its memory must not run out meanwhile: torch before 2.13 does not recover from that (pytorch/pytorch#180395).
    """
    kept = torch.cuda.memory_reserved(device)
    torch.cuda.empty_cache()
    frames = kept - torch.cuda.memory_reserved(device) + _kept_beside_tensors(device)
    free, _ = torch.cuda.mem_get_info(device)
    return free > (1 + SPARE_SHARE) * frames


def _kept_beside_tensors(device: torch.device) -> int:
    """Bytes that torch can't give back, because they share their segments with tensors; those of graphs don't count."""
    segments: list[dict[str, Any]] = torch.cuda.memory_snapshot()  # type: ignore[no-untyped-call]
    return sum(
        int(segment["total_size"] - segment["active_size"])
        for segment in segments
        if segment["device"] == device.index and segment["segment_pool_id"] == (0, 0)
    )


@cache
def _warn_once(text: str) -> None:
    logger.warning(text)


def release_graphs(device: torch.device) -> bool:
    """Free all graphs on a device, and the memory that torch keeps there; returns whether there were any graphs.

    The slots that had them capture no more. Results that are still in use stay as they are.
    """
    with capture_lock:
        torch.cuda.synchronize(device)  # none of them runs any more
        held = [slot for slot in _slots.values() if slot.graphs and slot.stream.device == device]
        for slot in held:
            slot.graphs.clear()
            slot.latest.clear()
            slot.is_off = True
        with suppress(RuntimeError):  # after a capture that failed, torch takes it for going on, and refuses
            torch.cuda.empty_cache()
    return bool(held)


def synchronize(device: torch.device) -> None:
    """Wait for everything on a device, at a time when that breaks no capture."""
    with capture_lock:
        torch.cuda.synchronize(device)
