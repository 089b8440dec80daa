"""One pass of the network over a picture: memory plan, and what to do when it does not work out."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import torch
from torch import Tensor

from vscugan.engine.memory import free_bytes
from vscugan.engine.padding import network_input, picture_of
from vscugan.engine.plan_choice import Budget, choose_plan, leaner_plan
from vscugan.errors import DeviceError, FrameError
from vscugan.models.weights import Weights
from vscugan.runtime.backends import backend_row
from vscugan.runtime.protocol import Gates, Runtime
from vscugan.runtime.workspace import Workspace
from vscugan.settings import SMALLEST_TILE_PX
from vscugan.tiling.geometry import Rectangle
from vscugan.tiling.plan_cache import recall, remember
from vscugan.tiling.run_tiles import PassOptions, run_tiles
from vscugan.tiling.tile_plan import TilePlan

#: Share of the free memory that one engine may plan with: others live on the machine too.
MEMORY_SHARE = 0.5

_runtimes: weakref.WeakValueDictionary[tuple[str, str, str, str, str], Runtime] = weakref.WeakValueDictionary()
_runtimes_lock = threading.Lock()


def shared_runtime(backend: str, weights: Weights, device: torch.device, precision: str) -> Runtime:
    """The one runtime of this process for these weights; it goes when its last user goes."""
    key = (backend, weights.sha256, str(device), precision, weights.architecture.name)
    with _runtimes_lock:
        runtime = _runtimes.get(key)
        if runtime is None:
            runtime = backend_row(backend).make(weights, device, precision)
            if device.type == "cuda":  # other streams must not read parameters that are still on their way
                torch.cuda.synchronize(device)
            _runtimes[key] = runtime
        return runtime


#: how torch on a CPU, OpenVINO and ONNX Runtime say it, each by an exception of its own
OUT_OF_MEMORY_WORDS = ("can't allocate memory", "bad_alloc", "Failed to allocate", "not enough memory")


def is_out_of_memory(error: Exception) -> bool:
    """Whether a runtime raised because an allocation failed, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error) for words in OUT_OF_MEMORY_WORDS)


class NetworkPass:
    """Runs one model on one device.

    ``weights`` are kept (5 MB as fp32) for the fp32 fallback: hours later, the file may be another. ``tile``: (width,
    height) in px of this pass's input, 0 = the whole axis, None = chosen from free memory. ``memory``: bytes for all
    frames in flight, None = a share of what is free; ``in_flight``: how many frames share it. ``notify``: see Engine.
    Safe to call from several threads.
    """

    def __init__(
        self,
        weights: Weights,
        backend: str,
        device: torch.device,
        precision: str,
        *,
        tile: tuple[int, int] | None,
        memory: int | None,
        in_flight: int,
        notify: Callable[[str], None],
    ) -> None:
        self.scale, self.sha256 = weights.scale, weights.sha256
        self.runtime = shared_runtime(backend, weights, device, precision)
        self._weights, self._backend, self._device, self._precision = weights, backend, device, precision
        self._tile, self._memory, self._in_flight, self._notify = tile, memory, in_flight, notify
        self._fp32: Runtime | None = None
        self._plan: TilePlan | None = None
        self._plan_size: tuple[int, int] | None = None
        self._plan_lock = threading.Lock()

    @property
    def tile(self) -> str:
        """The tile of the last frame, as users write it: width x height, or ``whole``."""
        plan, size = self._plan, self._plan_size
        if plan is None or size is None or plan.whole(*size):
            return "whole"
        return tile_text(plan.tile, *size)

    def run(
        self, x: Tensor, n: int, workspace: Workspace, options: PassOptions, area: Rectangle | None = None
    ) -> tuple[Tensor, Gates]:
        """Upscale a picture: (1, 3, H, W) fp32 -> (3, scale*H, scale*W) fp32, not clamped, and its gates.

        ``x`` is clamped to 0..1 for the network, and not written to. ``area``: the part that is asked for and returned;
        ``n`` is for messages. The result may live in ``workspace``, until its next use.
        Raises: FrameError when the result holds NaN or Inf even in fp32; DeviceError when the smallest
        tile does not fit into memory.
        """
        result = self._run(self.runtime, x, workspace, options, area)
        if result is None and self._precision != "fp32":
            self._notify(f"frame {n} gave NaN or Inf in {self._precision}; it was computed again in fp32")
            if self._fp32 is None:
                self._fp32 = shared_runtime(self._backend, self._weights, self._device, "fp32")
            result = self._run(self._fp32, x, workspace, options, area)
        if result is None:
            raise FrameError(
                f"frame {n} must come out finite, got NaN or Inf from the network in fp32; "
                "look for NaN in the source there, and check the weights"
            )
        return result

    def _run(
        self, runtime: Runtime, x: Tensor, workspace: Workspace, options: PassOptions, area: Rectangle | None
    ) -> tuple[Tensor, Gates] | None:
        """What ``run`` returns, or None where that is not finite."""
        height, width = x.shape[2:]
        while True:
            plan = self._plan_for(height, width)
            try:
                return self._attempt(runtime, x, plan, workspace, options, area)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # outside of the handler: the traceback would keep the failed run's tensors alive
            workspace.clear()  # what it holds is sized for the plan that failed
            gc.collect()
            if self._device.type != "cpu":
                getattr(torch, self._device.type).empty_cache()
            self._shrink(plan, height, width)

    def _attempt(
        self,
        runtime: Runtime,
        x: Tensor,
        plan: TilePlan,
        workspace: Workspace,
        options: PassOptions,
        area: Rectangle | None,
    ) -> tuple[Tensor, Gates] | None:
        padded, shown = network_input(runtime.architecture, x, area)
        # what is rounded to levels comes out finite whatever went in
        if self._precision == "int8" and not torch.isfinite(padded.sum()):
            return None
        result = run_tiles(
            runtime, padded.to(runtime.device, runtime.dtype), plan, shown, workspace, options
        )
        return result and (picture_of(runtime.architecture, result[0]), result[1])

    def _plan_for(self, height: int, width: int) -> TilePlan:
        with self._plan_lock:
            if self._plan is None or self._plan_size != (height, width):
                self._plan, self._plan_size = self._choose(height, width), (height, width)
            return self._plan

    def _choose(self, height: int, width: int) -> TilePlan:
        """The first plan that fits into memory, fastest first."""
        free = free_bytes(self._device)
        budget = Budget(
            device=(self._memory or int(free * MEMORY_SHARE)) // self._in_flight,
            host=None
            if self._device.type == "cpu"
            else int(free_bytes(torch.device("cpu")) * MEMORY_SHARE) // self._in_flight,
        )
        tile = None if self._tile is None else (self._tile[1], self._tile[0])
        plan = choose_plan(self.runtime, height, width, budget, tile)
        worked = recall(self._situation(height, width), free)
        if worked is not None:
            plan = worked
        size = "whole frame" if plan.whole(height, width) else tile_text(plan.tile, height, width)
        room = f"{self._memory >> 20} MiB of memory" if self._memory else f"{free >> 20} MiB free"
        why = "what worked after an earlier out-of-memory" if worked else f"chosen for {room}"
        self._notify(f"tile: {size} of {width}x{height}, features {plan.storage} ({why} on {self._device})")
        return plan

    def _situation(self, height: int, width: int) -> str:
        """What a plan depends on, beside free memory."""
        device = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else str(self._device)
        bounds = f"tile {self._tile}, memory {self._memory}, {self._in_flight} in flight"
        return f"{width}x{height}, {self.sha256}, {self.runtime.name} {self._precision} on {device}, {bounds}"

    def _shrink(self, failed: TilePlan, height: int, width: int) -> None:
        """Take a leaner plan after an out-of-memory, unless another thread has done so already."""
        with self._plan_lock:
            if self._plan is not failed:
                return
            leaner = leaner_plan(failed, height, width, has_host=self.runtime.device.type != "cpu")
            if leaner is None:
                raise DeviceError(
                    f"{self._device} must have room for a tile of {SMALLEST_TILE_PX} px, got out of memory; "
                    "close other programs, lower streams, or use device=cpu"
                )
            self._plan = leaner
            remember(self._situation(height, width), leaner, free_bytes(self._device))
            old, new = (tile_text(p.tile, height, width) for p in (failed, leaner))
            self._notify(f"out of memory on {self._device}: tile {old} -> {new}, features {leaner.storage}")


def tile_text(tile: tuple[int, int], height: int, width: int) -> str:
    """A tile of a frame as users write it: width x height."""
    return f"{min(tile[1] or width, width)}x{min(tile[0] or height, height)}"


