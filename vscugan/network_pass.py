"""One pass of the network over a picture: padding, memory plan, and what to do when it does not work out."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vscugan.errors import DeviceError, FrameError
from vscugan.memory import free_bytes
from vscugan.models.weights import Weights
from vscugan.network import PRO_GAIN, PRO_OFFSET, Architecture
from vscugan.route import Pass
from vscugan.runtime.backends import make_runtime
from vscugan.runtime.protocol import Runtime
from vscugan.settings import SMALLEST_TILE_PX
from vscugan.tiling.geometry import round_up
from vscugan.tiling.run import Plan, run, waiting_bytes, working_bytes
from vscugan.workspace import Workspace

#: Share of the free memory that one engine may plan with: others live on the machine too.
MEMORY_SHARE = 0.5
#: Tiles that are tried when the whole frame does not fit, in px.
AUTO_TILES_PX = (1024, 768, 512, 384, 256, 192, 128, 96, 64, SMALLEST_TILE_PX)

_runtimes: weakref.WeakValueDictionary[tuple[str, str, str, str, bool], Runtime] = weakref.WeakValueDictionary()
_runtimes_lock = threading.Lock()


def shared_runtime(backend: str, weights: Weights, device: torch.device, precision: str) -> Runtime:
    """The one runtime of this process for these weights; it goes when its last user goes."""
    key = (backend, weights.sha256, str(device), precision, weights.pro)
    with _runtimes_lock:
        runtime = _runtimes.get(key)
        if runtime is None:
            runtime = make_runtime(backend, weights, device, precision)
            if device.type == "cuda":  # other streams must not read parameters that are still on their way
                torch.cuda.synchronize(device)
            _runtimes[key] = runtime
        return runtime


def pad(x: Tensor, top_left: int, bottom: int, right: int) -> Tensor:
    """Reflect the borders of (1, C, H, W) as far as that is legal, then replicate the rest."""
    height, width = x.shape[2:]
    wanted = (top_left, right, top_left, bottom)
    limits = (width - 1, width - 1, height - 1, height - 1)
    reflected = [min(w, limit) for w, limit in zip(wanted, limits, strict=True)]
    x = F.pad(x, reflected, mode="reflect")
    rest = [w - r for w, r in zip(wanted, reflected, strict=True)]
    return F.pad(x, rest, mode="replicate") if any(rest) else x


#: how torch on a CPU, OpenVINO and ONNX Runtime say it, each by an exception of its own
OUT_OF_MEMORY_WORDS = ("can't allocate memory", "bad_alloc", "Failed to allocate", "not enough memory")


def is_out_of_memory(error: Exception) -> bool:
    """Whether a runtime raised because an allocation failed, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error) for words in OUT_OF_MEMORY_WORDS)


class NetworkPass:
    """Runs one model on one device.

    ``tile``: (width, height) in px of this pass's input, 0 = the whole axis, None = chosen from free memory.
    ``memory``: bytes for all frames in flight, None = a share of what is free. ``notify``: see Engine.
    Safe to call from several threads.
    """

    def __init__(
        self,
        model: Pass,
        backend: str,
        device: torch.device,
        precision: str,
        *,
        tile: tuple[int, int] | None,
        memory: int | None,
        streams: int,
        notify: Callable[[str], None],
    ) -> None:
        weights = model.load()
        self.scale, self.sha256 = weights.scale, weights.sha256
        self.runtime = shared_runtime(backend, weights, device, precision)
        self._model, self._backend, self._device, self._precision = model, backend, device, precision
        self._tile, self._memory, self._streams, self._notify = tile, memory, streams, notify
        self._fp32: Runtime | None = None
        self._plan: Plan | None = None
        self._plan_size: tuple[int, int] | None = None
        self._plan_lock = threading.Lock()

    @property
    def tile(self) -> str:
        """The tile of the last frame, as users write it: width x height, or ``whole``."""
        plan, size = self._plan, self._plan_size
        if plan is None or size is None or plan.whole(*size):
            return "whole"
        height, width = (t or s for t, s in zip(plan.tile, size, strict=True))
        return f"{width}x{height}"

    def run(self, x: Tensor, n: int, workspace: Workspace) -> Tensor:
        """(1, 3, H, W) fp32 in 0..1 -> (1, 3, scale*H, scale*W) fp32, not clamped; ``n`` is for messages.

        The result may live in ``workspace``, until its next use.
        Raises: FrameError when the result holds NaN or Inf even in fp32; DeviceError when the smallest
        tile does not fit into memory.
        """
        # what is rounded to levels comes out finite whatever went in
        readable = self._precision != "int8" or bool(torch.isfinite(x.sum()))
        y = self._network(self.runtime, x, workspace) if readable else None
        if y is None and self._precision != "fp32":
            self._notify(f"frame {n} gave NaN or Inf in {self._precision}; it was computed again in fp32")
            y = self._network(self._fp32_runtime(), x, workspace)
        if y is None:
            raise FrameError(
                f"frame {n} must come out finite, got NaN or Inf from the network in fp32; "
                "look for NaN in the source there, and check the weights"
            )
        return y.unsqueeze(0)

    def _fp32_runtime(self) -> Runtime:
        """The same network in fp32, loaded when a frame first needs it."""
        if self._fp32 is None:
            self._fp32 = shared_runtime(self._backend, self._model.load(), self._device, "fp32")
        return self._fp32

    def _network(self, runtime: Runtime, x: Tensor, workspace: Workspace) -> Tensor | None:
        """(1, 3, H, W) in 0..1 -> (3, scale*H, scale*W) fp32, or None where that is not finite."""
        height, width = x.shape[2:]
        while True:
            plan = self._plan_for(height, width)
            try:
                return self._try(runtime, x, plan, workspace)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # outside of the handler: the traceback would keep the failed run's tensors alive
            workspace.clear()  # what it holds is sized for the plan that failed
            gc.collect()
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            self._shrink(plan, height, width)

    def _try(self, runtime: Runtime, x: Tensor, plan: Plan, workspace: Workspace) -> Tensor | None:
        architecture = runtime.architecture
        height, width = x.shape[2:]
        size = (round_up(height, architecture.multiple), round_up(width, architecture.multiple))
        if runtime.pro:
            x = x * PRO_GAIN + PRO_OFFSET
        edge = architecture.pad_px
        padded = pad(x, edge, edge + size[0] - height, edge + size[1] - width)
        padded = padded.to(runtime.device, runtime.dtype).contiguous(memory_format=runtime.memory_format)
        y, finite = run(runtime, padded, size, plan, (height, width), self._model.alpha, workspace)
        if not finite:
            return None
        return y.sub_(PRO_OFFSET).div_(PRO_GAIN) if runtime.pro else y

    def _plan_for(self, height: int, width: int) -> Plan:
        with self._plan_lock:
            if self._plan is None or self._plan_size != (height, width):
                self._plan, self._plan_size = self._choose(height, width), (height, width)
            return self._plan

    def _choose(self, height: int, width: int) -> Plan:
        """The first plan that fits, fastest first; the user's own tile means that memory is short."""
        if self._tile is not None:
            plan = Plan(tile=(self._tile[1], self._tile[0]))
            return replace(plan, keep_skips=plan.whole(height, width))
        free = free_bytes(self._device)
        budget = (self._memory or int(free * MEMORY_SHARE)) // self._streams
        runtime = self.runtime
        plan = choose_plan(
            runtime.architecture, height, width, budget, runtime.dtype.itemsize, runtime.preferred_tile_px
        )
        tile = "whole frame" if plan.tile == (0, 0) else f"{plan.tile[1]} px"
        where = "computed again" if not plan.keep_skips else "kept"
        room = f"{self._memory >> 20} MiB of memory" if self._memory else f"{free >> 20} MiB free"
        found = f"left out, chosen for {room} on {self._device}"
        self._notify(f"tile: {tile} of {width}x{height}, skips {where} ({found})")
        return plan

    def _shrink(self, failed: Plan, height: int, width: int) -> None:
        """Halve the tile after an out-of-memory, unless another thread has done so already."""
        with self._plan_lock:
            if self._plan is not failed:
                return
            old = [t or s for t, s in zip(failed.tile, (height, width), strict=True)]
            new = [max(SMALLEST_TILE_PX, min(o, s) // 2) for o, s in zip(old, (height, width), strict=True)]
            if all(n >= min(o, s) for n, o, s in zip(new, old, (height, width), strict=True)):
                raise DeviceError(
                    f"{self._device} must have room for a tile of {SMALLEST_TILE_PX} px, got out of memory; "
                    "close other programs, lower streams, or use device=cpu"
                )
            on_host = self._device.type != "cpu" and not failed.keep_skips
            self._plan = Plan(tile=(new[0], new[1]), keep_skips=False, on_host=on_host)
            self._notify(
                f"out of memory on {self._device}: tile {old[1]}x{old[0]} -> {new[1]}x{new[0]}, "
                f"features wait on the {'host' if on_host else 'device'}"
            )


def choose_plan(
    architecture: Architecture, height: int, width: int, budget: int, item_bytes: int, preferred_tile_px: int = 0
) -> Plan:
    """The fastest plan whose features and work fit into ``budget`` bytes; the leanest where none does.

    ``preferred_tile_px``: the runtime's fastest, 0 = the whole frame; larger tiles are not tried.
    """
    sizes = [t for t in AUTO_TILES_PX if t < max(height, width) and (not preferred_tile_px or t <= preferred_tile_px)]
    whole = [Plan(tile=(0, 0))] if not preferred_tile_px or max(height, width) <= preferred_tile_px else []
    plans = whole + [Plan(tile=(t, t), keep_skips=keep) for t in sizes for keep in (True, False)]
    for plan in plans:
        tile = (min(plan.tile[0] or height, height), min(plan.tile[1] or width, width))
        need = waiting_bytes(architecture, height, width, plan, item_bytes)
        if need + working_bytes(architecture, tile, item_bytes) <= budget:
            return plan
    return Plan(tile=plans[-1].tile, keep_skips=False)
