"""One pass of the network over a picture: padding, memory plan, and what to do when it does not work out."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vscugan.errors import DeviceError, FrameError
from vscugan.memory import free_bytes
from vscugan.models.weights import Weights
from vscugan.network import PRO_GAIN, PRO_OFFSET
from vscugan.route import Pass
from vscugan.runtime.backends import make_runtime
from vscugan.runtime.protocol import Runtime
from vscugan.settings import SMALLEST_TILE_PX
from vscugan.tiling.geometry import Rectangle, Span, round_up
from vscugan.tiling.plan import Plan, Waiting, waiting_bytes, working_bytes
from vscugan.tiling.remembered import recall, remember
from vscugan.tiling.run import Gates, run
from vscugan.workspace import Workspace

#: Share of the free memory that one engine may plan with: others live on the machine too.
MEMORY_SHARE = 0.5
#: Tiles that are tried when the whole frame does not fit, in px. Larger ones do not fit into a CPU's caches: at 1080p
#: OpenVINO takes 1.17 times as long with 1024 px as with 512.
AUTO_TILES_PX = (512, 384, 256, 192, 128, 96, 64, SMALLEST_TILE_PX)

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


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a pass, beside the picture."""

    gates: Gates | None = None  #: to be used in place of the picture's own
    #: the part that is asked for, and returned; its ends are multiples of the architecture's, or the picture's ends
    area: Rectangle | None = None
    with_gates: bool = False  #: whether the gates are to be told


class NetworkPass:
    """Runs one model on one device.

    ``tile``: (width, height) in px of this pass's input, 0 = the whole axis, None = chosen from free memory.
    ``memory``: bytes for all frames in flight, None = a share of what is free; ``in_flight``: how many frames
    share it. ``notify``: see Engine.
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
        in_flight: int,
        notify: Callable[[str], None],
    ) -> None:
        # kept (5 MB as fp32) for the fp32 fallback: hours later, the file may be another
        self._weights = model.load()
        self.scale, self.sha256 = self._weights.scale, self._weights.sha256
        self.runtime = shared_runtime(backend, self._weights, device, precision)
        self._model, self._backend, self._device, self._precision = model, backend, device, precision
        self._tile, self._memory, self._in_flight, self._notify = tile, memory, in_flight, notify
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
        return tile_text(plan.tile, *size)

    def run(self, x: Tensor, n: int, workspace: Workspace, asked: Asked | None = None) -> tuple[Tensor, Gates]:
        """Upscale a picture: (1, 3, H, W) fp32 in 0..1 -> (3, scale*H, scale*W) fp32, not clamped, and its gates.

        ``asked``: left out, the whole picture with its own gates, which are not told. ``n`` is for messages. The
        result may live in ``workspace``, until its next use.
        Raises: FrameError when the result holds NaN or Inf even in fp32; DeviceError when the smallest
        tile does not fit into memory.
        """
        # what is rounded to levels comes out finite whatever went in
        readable = self._precision != "int8" or bool(torch.isfinite(x.sum()))
        asked = asked or Asked()
        ran = self._network(self.runtime, x, workspace, asked) if readable else None
        if ran is None and self._precision != "fp32":
            self._notify(f"frame {n} gave NaN or Inf in {self._precision}; it was computed again in fp32")
            ran = self._network(self._fp32_runtime(), x, workspace, asked)
        if ran is None:
            raise FrameError(
                f"frame {n} must come out finite, got NaN or Inf from the network in fp32; "
                "look for NaN in the source there, and check the weights"
            )
        return ran

    def _fp32_runtime(self) -> Runtime:
        """The same network in fp32, made when a frame first needs it."""
        if self._fp32 is None:
            self._fp32 = shared_runtime(self._backend, self._weights, self._device, "fp32")
        return self._fp32

    def _network(self, runtime: Runtime, x: Tensor, workspace: Workspace, asked: Asked) -> tuple[Tensor, Gates] | None:
        """What ``run`` returns, or None where that is not finite."""
        height, width = x.shape[2:]
        while True:
            plan = self._plan_for(height, width)
            try:
                return self._try(runtime, x, plan, workspace, asked)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # outside of the handler: the traceback would keep the failed run's tensors alive
            workspace.clear()  # what it holds is sized for the plan that failed
            gc.collect()
            if self._device.type != "cpu":
                getattr(torch, self._device.type).empty_cache()
            self._shrink(plan, height, width)

    def _try(
        self, runtime: Runtime, x: Tensor, plan: Plan, workspace: Workspace, asked: Asked
    ) -> tuple[Tensor, Gates] | None:
        architecture = runtime.architecture
        height, width = x.shape[2:]
        filled = [round_up(px, architecture.multiple) - px for px in (height, width)]
        edge, area = architecture.pad_px, asked.area
        window: tuple[slice, ...] = (slice(None), slice(None))
        if area is not None:
            spans = [
                Span(start=s.start, stop=round_up(s.stop, architecture.multiple)) for s in (area.rows, area.columns)
            ]
            # two edges before it: at the picture's end, one of them is reflected
            seen = [Span(start=max(0, s.start - 2 * edge), stop=s.stop + edge) for s in spans]
            x = x[:, :, seen[0].start : seen[0].stop, seen[1].start : seen[1].stop]
            window = tuple(
                slice(s.start - of.start, s.stop - of.start + 2 * edge) for s, of in zip(spans, seen, strict=True)
            )
            height, width = area.rows.size, area.columns.size
        if runtime.pro:
            x = x * PRO_GAIN + PRO_OFFSET
        padded = pad(x, edge, edge + filled[0], edge + filled[1])[:, :, *window]
        padded = padded.to(runtime.device, runtime.dtype).contiguous(memory_format=runtime.memory_format)
        ran = run(
            runtime,
            padded,
            plan,
            (height, width),
            self._model.alpha,
            workspace,
            asked.gates,
            with_gates=asked.with_gates,
        )
        if not ran.finite:
            return None
        return ran.output.sub_(PRO_OFFSET).div_(PRO_GAIN) if runtime.pro else ran.output, ran.gates

    def _plan_for(self, height: int, width: int) -> Plan:
        with self._plan_lock:
            if self._plan is None or self._plan_size != (height, width):
                self._plan, self._plan_size = self._choose(height, width), (height, width)
            return self._plan

    def _choose(self, height: int, width: int) -> Plan:
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
        self._notify(f"tile: {size} of {width}x{height}, features {plan.waiting} ({why} on {self._device})")
        return plan

    def _situation(self, height: int, width: int) -> str:
        """What a plan depends on, beside free memory."""
        device = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else str(self._device)
        bounds = f"tile {self._tile}, memory {self._memory}, {self._in_flight} in flight"
        return f"{width}x{height}, {self.sha256}, {self.runtime.name} {self._precision} on {device}, {bounds}"

    def _shrink(self, failed: Plan, height: int, width: int) -> None:
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
            self._notify(f"out of memory on {self._device}: tile {old} -> {new}, features {leaner.waiting}")


def tile_text(tile: tuple[int, int], height: int, width: int) -> str:
    """A tile of a frame as users write it: width x height."""
    return f"{min(tile[1] or width, width)}x{min(tile[0] or height, height)}"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Bytes that one frame may take."""

    device: int
    host: int | None  #: None where the device is the host


def choose_plan(runtime: Runtime, height: int, width: int, budget: Budget, tile: tuple[int, int] | None = None) -> Plan:
    """The fastest plan whose features and work fit into the budget; the leanest where none does.

    ``tile``: (height, width) in px where the user named one; else up to the runtime's preferred one.
    """
    preferred = runtime.preferred_tile_px
    if tile is not None:
        tiles = [tile]
    else:
        tiles = [(t, t) for t in AUTO_TILES_PX if t < max(height, width) and (not preferred or t <= preferred)]
        if not preferred or max(height, width) <= preferred:
            tiles.insert(0, (0, 0))
    whole = [Plan(tile=t) for t in tiles if Plan(tile=t).whole(height, width)]
    tiles = [t for t in tiles if not Plan(tile=t).whole(height, width)]
    kept = [Plan(tile=t, waiting=w) for t in tiles for w in (Waiting.DEVICE, Waiting.LEAN)]
    features_on_host = runtime.device.type == "cpu"
    on_host = [] if features_on_host else [Plan(tile=t, waiting=Waiting.HOST) for t in tiles]
    again = [Plan(tile=t, waiting=Waiting.NOWHERE) for t in tiles]
    plans = whole + kept + on_host + again
    for plan in plans:
        waiting = waiting_bytes(runtime.architecture, height, width, plan, runtime.dtype.itemsize)
        work = working_bytes(runtime.architecture, height, width, plan, runtime.dtype.itemsize)
        is_apart = (features_on_host or plan.waiting is Waiting.HOST) and not plan.whole(height, width)
        if is_apart and budget.host is not None:
            fits = work <= budget.device and waiting <= budget.host
        else:
            fits = work + waiting <= budget.device
        if fits:
            return plan
    return plans[-1]


def leaner_plan(failed: Plan, height: int, width: int, *, has_host: bool) -> Plan | None:
    """What to try after an out-of-memory: half the tile and fewer features, None where there is nothing left."""
    if failed.waiting is Waiting.DEVICE:
        waiting = Waiting.LEAN
    elif failed.waiting is Waiting.LEAN and has_host:
        waiting = Waiting.HOST
    else:
        waiting = failed.waiting
    old = [min(t or s, s) for t, s in zip(failed.tile, (height, width), strict=True)]
    new = [max(SMALLEST_TILE_PX, o // 2) for o in old]
    if any(n < o for n, o in zip(new, old, strict=True)):
        return Plan(tile=(new[0], new[1]), waiting=waiting)
    if waiting is Waiting.NOWHERE or max(height, width) <= SMALLEST_TILE_PX:
        return None
    return Plan(tile=(new[0], new[1]), waiting=Waiting.NOWHERE)
