"""One pass of the network over a picture: memory plan, and what to do when it does not work out."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vscugan.engine.memory import release_memory
from vscugan.engine.padding import network_input, picture_of
from vscugan.engine.planner import PlanLimits, Planner
from vscugan.engine.standby import Standby
from vscugan.errors import CuganError, FrameError
from vscugan.models.weights import Weights
from vscugan.runtime.arrays import Array, Arrays
from vscugan.runtime.backends import backend_row
from vscugan.runtime.device import Device
from vscugan.runtime.protocol import Gates, PassOptions, Runtime
from vscugan.runtime.workspace import Workspace
from vscugan.tiling.geometry import Rectangle
from vscugan.tiling.run_tiles import run_tiles
from vscugan.tiling.tile_plan import TilePlan

#: torch's own error, by its name: torch may not be loaded.
TORCH_OUT_OF_MEMORY = "OutOfMemoryError"

_runtimes: weakref.WeakValueDictionary[tuple[str | int, ...], Runtime] = weakref.WeakValueDictionary()
_runtimes_lock = threading.Lock()


def shared_runtime(backend: str, weights: Weights, device: Device, precision: str) -> Runtime:
    """The one runtime of this process for these weights; it goes when its last user goes."""
    architecture = weights.architecture
    network = (weights.sha256, weights.level, architecture.name, architecture.halo_px)
    key = (backend, *network, str(device), precision)
    with _runtimes_lock:
        runtime = _runtimes.get(key)
        if runtime is None:
            runtime = backend_row(backend).make(weights, device, precision)
            _runtimes[key] = runtime
        return runtime


def is_out_of_memory(error: Exception, backend: str) -> bool:
    """Whether torch, which may hold the maps, or a backend raised because an allocation failed, on any device."""
    if isinstance(error, MemoryError) or any(kind.__name__ == TORCH_OUT_OF_MEMORY for kind in type(error).__mro__):
        return True
    return any(text in str(error) for name in ("torch", backend) for text in backend_row(name).out_of_memory)


def _moved(x: Array, of: Arrays, to: Arrays) -> Array:
    """An array of one runtime as another one has it."""
    return x if of.xp is to.xp else to.upload(of.to_host(x))


def _refused(source: str, width: int, height: int, error: Exception) -> FrameError:
    """What a user's own network raised, in one line."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return FrameError(
        f"{source} must take a picture of {width}x{height}, got {reason}; use another size, or another network"
    )


class NetworkPass:
    """Runs one model on one device.

    ``weights`` are kept (5 to 67 MB as fp32) for the fp32 fallback: hours later, the file may be another. ``notify``:
    see Engine. Safe to call from several threads.
    """

    def __init__(
        self,
        weights: Weights,
        backend: str,
        device: Device,
        precision: str,
        limits: PlanLimits,
        notify: Callable[[str], None],
    ) -> None:
        self.scale, self.sha256, self.level = weights.scale, weights.sha256, weights.level
        self.runtime = shared_runtime(backend, weights, device, precision)
        self.planner = Planner(self.runtime, device, self.sha256, precision, limits, notify)
        self._weights, self._backend, self._device, self._precision = weights, backend, device, precision
        self._notify = notify
        # engines for a frame that overflows, or for parts of frames, each of another size, are not worth their build
        meanwhile = backend_row(backend).meanwhile
        self._quick = meanwhile or backend
        self._standby: Standby | None = None
        if meanwhile is not None:
            self._standby = Standby(shared_runtime(meanwhile, weights, device, precision), self.runtime, notify)
        self._fp32: Runtime | None = None
        self.computed_by = backend  #: the backend of the latest whole picture; with several in flight, of any of them

    @property
    def tile(self) -> str:
        """The tile of the last frame, as users write it: width x height, or ``whole``."""
        return self.planner.tile

    @property
    def halo(self) -> str:
        """What the tiles of the last frame saw around themselves, in words, where they are not exact; else nothing."""
        architecture, tile = self.runtime.architecture, self.tile
        return "" if tile == "whole" or architecture.tiles_are_exact else f"{architecture.halo_px} px around {tile}"

    def run(
        self, x: Array, n: int, workspace: Workspace, options: PassOptions, area: Rectangle | None = None
    ) -> tuple[Array, Gates]:
        """Upscale a picture: (1, 3, H, W) fp32 -> (3, scale*H, scale*W) fp32, not clamped, and its gates.

        ``x`` is clamped to 0..1 for the network, and not written to. ``area``: the part that is asked for and returned;
        ``n`` is for messages. The result may live in ``workspace``, until its next use.
        Raises: FrameError when the result holds NaN or Inf even in fp32; DeviceError when the smallest
        tile does not fit into memory.
        """
        options = replace(options, is_part=area is not None)
        result = self._run(self.runtime, x, workspace, options, area)
        if result is None and self._precision != "fp32":
            self._notify(f"frame {n} gave NaN or Inf in {self._precision}; it was computed again in fp32")
            if self._fp32 is None:
                self._fp32 = shared_runtime(self._quick, self._weights, self._device, "fp32")
            result = self._run(self._fp32, x, workspace, options, area)
        if result is None:
            raise FrameError(
                f"frame {n} must come out finite, got NaN or Inf from the network in fp32; "
                "look for NaN in the source there, and check the weights"
            )
        return result

    def _run(
        self, runtime: Runtime, x: Array, workspace: Workspace, options: PassOptions, area: Rectangle | None
    ) -> tuple[Array, Gates] | None:
        """What ``run`` returns, or None where that is not finite."""
        height, width = x.shape[2:]
        while True:
            plan = self.planner.plan_for(height, width)
            try:
                return self._attempt(runtime, x, plan, workspace, options, area)
            except Exception as error:
                if not is_out_of_memory(error, self._backend):
                    if self._weights.network is None or isinstance(error, CuganError):
                        raise
                    raise _refused(self._weights.source, width, height, error) from error
            # outside of the handler: the traceback would keep the failed run's tensors alive
            workspace.clear()  # what it holds is sized for the plan that failed
            gc.collect()
            if release_memory(self._device):
                self._notify(f"out of memory on {self._device}: CUDA graphs are freed, and captured no more")
            else:
                self.planner.shrink(plan, height, width)

    def _attempt(
        self,
        runtime: Runtime,
        x: Array,
        plan: TilePlan,
        workspace: Workspace,
        options: PassOptions,
        area: Rectangle | None,
    ) -> tuple[Array, Gates] | None:
        """One try by a plan; whatever a runtime raises when it is out of memory goes on to the caller."""
        arrays = self.runtime.arrays
        padded, inner = network_input(runtime.architecture, arrays, x, area)
        # what is rounded to levels comes out finite whatever went in
        if self._precision == "int8" and not arrays.is_finite(padded):
            return None
        if self._standby is not None and runtime is self.runtime:
            runtime = self._chosen(self._standby, x, padded, plan, inner, options, area)
        if area is None:
            self.computed_by = runtime.name
        padded = runtime.arrays.as_map(_moved(padded, arrays, runtime.arrays))
        result = run_tiles(runtime, padded, plan, inner, workspace, options)
        if result is None:
            return None
        y = picture_of(runtime.architecture, result[0])
        return _moved(y, runtime.arrays, arrays), tuple(_moved(gate, runtime.arrays, arrays) for gate in result[1])

    def _chosen(
        self,
        standby: Standby,
        x: Array,
        padded: Array,
        plan: TilePlan,
        inner: Rectangle,
        options: PassOptions,
        area: Rectangle | None,
    ) -> Runtime:
        """The runtime that computes all of this picture."""
        if area is not None:
            return standby.quick
        shape, gates, builder = tuple(padded.shape), options.gates, standby.builder
        blank = replace(options, gates=gates and tuple(np.zeros(gate.shape, np.float32) for gate in gates))

        def build() -> None:
            arrays = builder.arrays
            with arrays.computing():
                black = arrays.as_map(arrays.upload(np.zeros(shape, np.float32)))
                run_tiles(builder, black, plan, inner, Workspace(), blank)

        kind = (shape, plan, inner, gates is None, options.returns_gates)
        return standby.choose(kind, f"{x.shape[3]}x{x.shape[2]}", build)
