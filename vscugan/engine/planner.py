"""The plan of a pass: chosen once for a size, made leaner when memory runs out, and kept for the next process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from vscugan.engine.device_choice import torch_name
from vscugan.engine.memory import free_bytes
from vscugan.engine.plan_choice import Budget, choose_plan, lacking_bytes, leaner_plan
from vscugan.errors import DeviceError
from vscugan.runtime.device import CPU, Device
from vscugan.runtime.protocol import Runtime
from vscugan.settings import SMALLEST_TILE_PX
from vscugan.tiling.plan_cache import recall, remember
from vscugan.tiling.tile_plan import TilePlan

#: Share of the free memory that one engine may plan with: others live on the machine too.
MEMORY_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class PlanLimits:
    """What the user has named, and how many frames share it.

    ``tile``: (width, height) in px of a pass's input, 0 = the whole axis, None = chosen from free memory. ``memory``:
    bytes for all frames in flight, None = a share of what is free.
    """

    tile: tuple[int, int] | None
    memory: int | None
    in_flight: int


class Planner:
    """The plan of one model on one device, in which ``precision`` is the user's. Safe to call from several threads."""

    def __init__(
        self,
        runtime: Runtime,
        device: Device,
        model: str,
        precision: str,
        limits: PlanLimits,
        notify: Callable[[str], None],
    ) -> None:
        self._runtime, self._device, self._model, self._precision = runtime, device, model, precision
        self._limits, self._notify = limits, notify
        self._plan: TilePlan | None = None
        self._size: tuple[int, int] | None = None
        self._lock = threading.Lock()

    @property
    def tile(self) -> str:
        """The tile of the last frame, as users write it: width x height, or ``whole``."""
        plan, size = self._plan, self._size
        if plan is None or size is None or plan.whole(*size):
            return "whole"
        return tile_text(plan.tile, *size)

    def plan_for(self, height: int, width: int) -> TilePlan:
        """The plan for frames of this size."""
        with self._lock:
            if self._plan is None or self._size != (height, width):
                self._plan, self._size = self._choose(height, width), (height, width)
            return self._plan

    def _choose(self, height: int, width: int) -> TilePlan:
        """The first plan that fits into memory, fastest first."""
        free = free_bytes(self._device)
        budget = Budget(
            device=(self._limits.memory or int(free * MEMORY_SHARE)) // self._limits.in_flight,
            host=None if self._device.kind == "cpu" else int(free_bytes(CPU) * MEMORY_SHARE) // self._limits.in_flight,
        )
        tile = None if self._limits.tile is None else (self._limits.tile[1], self._limits.tile[0])
        plan = choose_plan(self._runtime, height, width, budget, tile)
        worked = recall(self._situation(height, width), free) if self._runtime.architecture.can_tile else None
        if worked is not None:
            plan = worked
        size = "whole frame" if plan.whole(height, width) else tile_text(plan.tile, height, width)
        room = f"{self._limits.memory >> 20} MiB of memory" if self._limits.memory else f"{free >> 20} MiB free"
        if self._runtime.largest_buffer is not None:
            room += f" and maps of up to {self._runtime.largest_buffer >> 20} MiB"
        if lacking := lacking_bytes(self._runtime, plan, height, width, budget):
            room += f", which is about {-(-lacking >> 20)} MiB too little"
        why = "what worked after an earlier out-of-memory" if worked else f"chosen for {room}"
        self._notify(f"tile: {size} of {width}x{height}{self._features(plan)} ({why} on {self._device})")
        return plan

    def _features(self, plan: TilePlan) -> str:
        """Where they are kept, in words; a network of one stage has none to keep."""
        return f", features {plan.storage}" if len(self._runtime.architecture.stages) > 1 else ""

    def _situation(self, height: int, width: int) -> str:
        """What a plan depends on, beside free memory."""
        adapter = self._device.adapter
        device = str(self._device) if adapter is None else f"{adapter.name} ({adapter.nth}, {adapter.driver})"
        if self._device.kind == "cuda":
            device = torch_name(self._device)
        bounds = f"tile {self._limits.tile}, memory {self._limits.memory}, {self._limits.in_flight} in flight"
        architecture = self._runtime.architecture
        network = f"{self._model} {architecture.name} with a halo of {architecture.halo_px}"
        return f"{width}x{height}, {network}, {self._runtime.name} {self._precision} on {device}, {bounds}"

    def shrink(self, failed: TilePlan, height: int, width: int) -> None:
        """Take a leaner plan after an out-of-memory, unless another thread has done so already.

        Raises: DeviceError where there is none.
        """
        with self._lock:
            if self._plan is not failed:
                return
            leaner = leaner_plan(self._runtime, failed, height, width)
            if leaner is None:
                is_whole = not self._runtime.architecture.can_tile
                what = f"a whole frame of {width}x{height}" if is_whole else f"a tile of {SMALLEST_TILE_PX} px"
                also = "name a halo= for tiles" if is_whole else "use device=cpu"
                raise DeviceError(
                    f"{self._device} must have room for {what}, got out of memory; "
                    f"close other programs, lower streams, or {also}"
                )
            self._plan = leaner
            remember(self._situation(height, width), leaner, free_bytes(self._device))
            old, new = (tile_text(p.tile, height, width) for p in (failed, leaner))
            self._notify(f"out of memory on {self._device}: tile {old} -> {new}{self._features(leaner)}")


def tile_text(tile: tuple[int, int], height: int, width: int) -> str:
    """A tile of a frame as users write it: width x height."""
    return f"{min(tile[1] or width, width)}x{min(tile[0] or height, height)}"
