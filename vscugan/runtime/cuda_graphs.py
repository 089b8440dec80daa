"""CUDA graphs: what a whole frame asks of the GPU is captured once, and launched in one call for later frames.

A graph replays the same kernels on the same memory, so its bits are those of the calls that it was captured from. What
it computes on stays taken as long as it lives, which is what a frame takes anyway; the graphs of a slot share it, since
a slot computes one frame at a time. They are captured on the slot's own stream, and replayed there.

What is captured must not use cuBLAS: its workspaces belong to a stream, and newer versions of torch free them with any
graph of that stream, while others still use them (pytorch/pytorch#193402). ``GateLayers`` does without.
"""

from __future__ import annotations

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

#: Frames that are alike for the network, among the last twice as many, after which the next ones have a graph. A
#: capture costs more than one frame, and parts of frames seldom have one size for long.
FRAMES_BEFORE_CAPTURE = 4
#: Of what a frame takes, what must be free beside it for a capture: other slots and programs take memory meanwhile.
SPARE_SHARE = 0.25
#: Of a slot: each pass of a route needs its own.
MOST_GRAPHS = 8

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
        with torch.cuda.graph(
            self._graph, pool=pool, stream=torch.cuda.current_stream(padded.device), capture_error_mode="thread_local"
        ):
            self._result = network(self._padded, captured)

    @property
    def pool(self) -> Any:
        """Where its memory comes from."""
        return self._graph.pool()

    def replay(self, padded: Tensor, gates: Gates | None) -> tuple[Tensor, Gates]:
        """What the network returns for this picture and these gates, in memory that the next replay overwrites."""
        self._padded.copy_(padded)
        for mine, given in zip(self._given, gates or (), strict=True):
            mine.copy_(given)
        self._graph.replay()
        return self._result


@dataclass(kw_only=True)
class SlotGraphs:
    """The graphs of one slot, and what its last frames were."""

    stream: torch.cuda.Stream
    graphs: dict[Situation, CapturedNetwork] = field(default_factory=dict)  #: the last captured comes last
    latest: dict[Network, deque[Situation]] = field(default_factory=dict)
    is_off: bool = False  #: captures no more

    def is_due(self, situation: Situation) -> bool:
        """Whether a graph is worth it, after one more frame that had none."""
        latest = self.latest.setdefault(situation.network, deque(maxlen=2 * FRAMES_BEFORE_CAPTURE))
        latest.append(situation)
        return latest.count(situation) >= FRAMES_BEFORE_CAPTURE and not self.is_off

    def capture(self, situation: Situation, padded: Tensor, options: PassOptions) -> None:
        """Capture a graph in the memory of the slot's others, the first of which goes where they are too many."""
        self.stream.synchronize()  # none of them runs
        while len(self.graphs) >= MOST_GRAPHS:
            del self.graphs[next(iter(self.graphs))]
        pool = next((graph.pool for graph in self.graphs.values()), None)
        self.graphs[situation] = CapturedNetwork(situation.network, padded, options, pool)


#: Held while a graph is captured, launched or freed: a capture bears neither another one nor that torch waits for the
#: whole device or frees what it keeps.
capture_lock = threading.Lock()
_pauses: set[object] = set()
_slots: weakref.WeakKeyDictionary[Workspace, SlotGraphs] = weakref.WeakKeyDictionary()


def run_by_graph(network: Network, padded: Tensor, workspace: Workspace, options: PassOptions) -> tuple[Tensor, Gates]:
    """What ``network`` returns, by a graph where this slot has one for it.

    Arguments and result as of ``Runtime.run_network``; the workspace stands for the slot, whose stream is the current
    one. Where no graph can be captured, that is logged once, and the network runs as it is.
    """
    alpha = options.alpha if options.gates is None else None
    situation = Situation(network=network, shape=padded.shape, alpha=alpha)
    with capture_lock:
        stream = torch.cuda.current_stream(padded.device)
        slot = _slots.setdefault(workspace, SlotGraphs(stream=stream))
        if situation in slot.graphs:
            return slot.graphs[situation].replay(padded, options.gates)
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
    frames = kept - torch.cuda.memory_reserved(device)
    free, _ = torch.cuda.mem_get_info(device)
    return free > (1 + SPARE_SHARE) * frames


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
