"""The engine: a frame in, a frame out. Precision, streams and the passes on each device live here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from math import prod

import numpy as np
from numpy.typing import NDArray

from vscugan.engine.device_choice import pick_device
from vscugan.engine.network_pass import NetworkPass
from vscugan.engine.planner import PlanLimits
from vscugan.engine.route import Pass, direct
from vscugan.engine.slots import DeviceSlot, DeviceSlots, Spent, new_stream
from vscugan.errors import ArgumentError, FrameError
from vscugan.install import require_torch
from vscugan.models.int8 import quantisation_of
from vscugan.models.weights import Weights, form_of
from vscugan.models.whole_network import TorchNetwork
from vscugan.runtime.arrays import Array, Arrays, HostArrays
from vscugan.runtime.backends import backend_row, is_native, pick_backend
from vscugan.runtime.device import Device
from vscugan.runtime.protocol import Gates, PassOptions
from vscugan.runtime.workspace import Workspace
from vscugan.settings import Settings
from vscugan.tiling.geometry import Rectangle

logger = logging.getLogger(__name__)

AUTO_PRECISIONS = {"cuda": "fp16"}  # elsewhere fp32

#: The gates of a frame on the host, (1, C, 1, 1) fp32, for each pass of the network.
type FrameGates = Sequence[tuple[NDArray[np.float32], ...]]


def _precision(
    settings: Settings, devices: Sequence[Device], notify: Callable[[str], None], own: Weights | None = None
) -> str:
    """One precision for all devices: a frame must not show which of them computed it. ``own``: of the user's file."""
    wanted, form = settings.precision, form_of(own)
    able = own.network.precisions if own and isinstance(own.network, TorchNetwork) else None
    if wanted == "auto":
        if form == "onnx" or (able and "fp16" not in able):
            return "fp32"  # as the file has it, or the only one that the network was made for everywhere
        found = {AUTO_PRECISIONS.get(device.kind, "fp32") for device in devices}
        wanted = found.pop() if len(found) == 1 else "fp32"
        return wanted if settings.backend == "auto" or wanted in backend_row(settings.backend).precisions else "fp32"
    if wanted == "int8" and own is not None:
        quantisation_of(own)
    if able and wanted not in able:
        raise ArgumentError(
            f"precision must be {' or '.join(able)} for {settings.weights}, got {wanted}; use one of these"
        )
    for device in devices:
        backend, _ = pick_backend(settings.backend, device, wanted, form)
        if not is_native(backend, device, wanted):
            notify(f"precision: fp32, because {backend} on {device} has no instructions for {wanted}")
            return "fp32"
    return wanted


def _loaded(settings: Settings, route: Sequence[Pass]) -> list[tuple[Weights, float]]:
    """The weights of each pass, read and checked once, and its alpha."""
    loaded = [(_with_halo(step.load(), settings.halo), step.alpha) for step in route]
    if settings.alpha != 1 and not loaded[0][0].architecture.takes_alpha:
        name = settings.weights or settings.model
        raise ArgumentError(f"alpha must be 1 for {name}, got {settings.alpha:g}; its network does not take it")
    for weights, _ in loaded:
        if settings.tile is not None and any(settings.tile) and not weights.architecture.can_tile:
            raise ArgumentError(
                f"tile must be left out for {settings.weights}, got {settings.tile[0]}x{settings.tile[1]}; its tiles "
                "would differ from the whole frame, leave tile out, or say by halo what they see around themselves"
            )
    return loaded


def _with_halo(weights: Weights, halo: int | None) -> Weights:
    if halo is None:
        return weights
    note = f"{weights.note}; by halo={halo} its tiles see {halo} px" if weights.note else ""
    return replace(weights, architecture=weights.architecture.with_halo(halo), note=note)


class Engine:
    """Upscales frames by one or more passes of the network, on one or more devices.

    ``passes``: the route; left out, the one pass that ``settings`` names. Safe to call from several threads;
    each device computes ``streams`` frames at once, the others wait and go to the first device of the list that
    is free. ``notify`` receives what the script's author should know once, such as the tile that was chosen.
    Raises: ArgumentError for what does not go together, WeightsError, DeviceError.
    """

    def __init__(
        self,
        settings: Settings,
        passes: Sequence[Pass] | None = None,
        *,
        notify: Callable[[str], None] = logger.info,
    ) -> None:
        route = passes or direct(settings, notify)
        assert route is not None  # a size needs a route
        form = form_of(route[0].weights)
        devices = [pick_device(name, settings.backend, settings.precision, form) for name in settings.device]
        for device in {device: None for device in devices if device.adapter}:
            notify(f"device: {device} is {device.adapter_name}")
        self.precision = _precision(settings, devices, notify, route[0].weights)
        loaded = _loaded(settings, route)
        for note in dict.fromkeys(each.note for each, _ in loaded if each.note):
            notify(note)
        self._alphas = [alpha for _, alpha in loaded]
        weights = [each for each, _ in loaded]
        self.slots_by_device = [self._device_slots(device, devices, settings, weights, notify) for device in devices]
        self._slots = DeviceSlots([slot for slots in self.slots_by_device for slot in slots])
        self.scale = prod(each.scale for each in weights)
        self.architecture = weights[0].architecture
        self._restore_overshoot = settings.overshoot == "restore"
        if self._restore_overshoot:
            require_torch("overshoot=restore")

    def _device_slots(
        self,
        device: Device,
        devices: Sequence[Device],
        settings: Settings,
        weights: Sequence[Weights],
        notify: Callable[[str], None],
    ) -> list[DeviceSlot]:
        backend, why = pick_backend(settings.backend, device, self.precision, form_of(weights[0]))
        if why:
            notify(f"backend: {backend}, because {why}")
        streams = settings.streams or backend_row(backend).streams.get(device.kind, 1)
        limits = PlanLimits(
            tile=settings.tile,
            memory=None if settings.memory is None else settings.memory << 20,
            in_flight=streams * devices.count(device),
        )
        passes = tuple(NetworkPass(each, backend, device, self.precision, limits, notify) for each in weights)
        return [
            DeviceSlot(
                device=device,
                backend=backend,
                passes=passes,
                stream=new_stream(device),
                workspace=Workspace(),
                transfer=passes[0].runtime.arrays.new_transfer(),
            )
            for _ in range(streams)
        ]

    @property
    def passes(self) -> tuple[NetworkPass, ...]:
        """Of the first device."""
        return self.slots_by_device[0][0].passes

    @property
    def returns_gates(self) -> bool:
        """Whether a frame's gates come with the frame; else asking for them costs time and precision."""
        runtimes = [each.runtime for slots in self.slots_by_device for each in slots[0].passes]
        return all(runtime.returns_gates or not runtime.architecture.gates for runtime in runtimes)

    @property
    def spent(self) -> Spent:
        """What was computed so far, and how long it took."""
        return self._slots.spent

    @property
    def summary(self) -> str:
        """What computes, in words."""
        first = [slots[0] for slots in self.slots_by_device]
        return f"{', '.join(f'{slot.backend} on {slot.device}' for slot in first)}, {self.precision}"

    def report(self) -> dict[str, str]:
        """What computes, as frame props: runtime, device, precision, tile and weights of each pass.

        Where tiles are not exact, also what they saw around themselves; where a file has all noise levels, also these.
        """
        return {
            "CuganRuntime": _without_repeats(p.computed_by for slots in self.slots_by_device for p in slots[0].passes),
            "CuganDevice": _without_repeats(str(slots[0].device) for slots in self.slots_by_device),
            "CuganPrecision": self.precision,
            "CuganTile": ", ".join(p.tile for p in self.passes),
            **({"CuganHalo": halos} if (halos := ", ".join(p.halo for p in self.passes if p.halo)) else {}),
            "CuganWeights": ", ".join(p.sha256 for p in self.passes),
            **({"CuganNoise": levels} if (levels := ", ".join(p.level for p in self.passes if p.level)) else {}),
        }

    def upscale(
        self,
        source: NDArray[np.float32],
        target: Sequence[NDArray[np.float32]],
        n: int = 0,
        gates: FrameGates | None = None,
        *,
        with_gates: bool = False,
    ) -> FrameGates:
        """Upscale one frame, and return its gates ``with_gates``, else none.

        ``source``: (3, H, W) fp32 RGB; clamped to 0..1 for the network. ``target``: three planes
        (scale*H, scale*W) fp32, written with values in 0..1, or with the source's excess over 0..1 added where
        the settings say so. ``n``: frame number, for messages. ``gates``: to be used in place of the frame's own.
        Raises: FrameError when the result holds NaN or Inf even in fp32; DeviceError when the smallest
        tile does not fit into memory.
        """
        with self._slots.taken(source) as (slot, x):
            used, y = list[Gates](), x[0]
            for y, own in self._passes(slot, x, n, gates, with_gates):  # noqa: B007  the last is written
                used.append(own)
            slot.transfer.write(y, target, self._excess(slot.arrays, x, n))
            return _kept(slot.arrays, used) if with_gates else ()

    def render(
        self, source: NDArray[np.float32], n: int = 0, gates: FrameGates | None = None, *, with_gates: bool = True
    ) -> tuple[list[NDArray[np.float32]], FrameGates]:
        """As ``upscale``, but the result stays here, so that ``repaint`` can change it.

        Returns what each pass has made, (3, h, w) fp32 in 0..1 on the host, and the gates, empty where not asked for.
        """
        with self._slots.taken(source) as (slot, x):
            used, pictures = list[Gates](), list[NDArray[np.float32]]()
            for y, own in self._passes(slot, x, n, gates, with_gates):
                used.append(own)
                pictures.append(np.empty(tuple(y.shape), np.float32))
                slot.transfer.write(y, list(pictures[-1]))
            return pictures, _kept(slot.arrays, used) if with_gates else ()

    def _passes(
        self, slot: DeviceSlot, x: Array, n: int, gates: FrameGates | None, with_gates: bool
    ) -> Iterator[tuple[Array, Gates]]:
        """Each pass over (1, 3, H, W): what ``NetworkPass.run`` returns, to be used before the next one runs."""
        y, passes = x[0], zip(slot.passes, gates or repeat(None), self._alphas, strict=False)
        for at, (network, given, alpha) in enumerate(passes):
            if at:  # a copy: where fp16 overflows it is read again, when a CUDA graph may have written over ``y``
                x = slot.arrays.copy(y[None])
            options = PassOptions(alpha=alpha, gates=given, returns_gates=with_gates)
            y, own = network.run(x, n, slot.workspace, options)
            yield y, own

    def repaint(
        self,
        pictures: Sequence[NDArray[np.float32]],
        source: NDArray[np.float32],
        areas: Sequence[Rectangle],
        gates: FrameGates,
        n: int = 0,
    ) -> None:
        """Compute ``areas`` of ``source`` with these gates, and write them into the pictures of ``render``.

        ``source`` and errors as in ``upscale``.
        """
        with self._slots.taken(source, whole=False) as (slot, x):
            y, factor = x, 1
            for at, (network, picture, given) in enumerate(zip(slot.passes, pictures, gates, strict=True)):
                if at:
                    y, factor = slot.arrays.upload(pictures[at - 1])[None], factor * slot.passes[at - 1].scale
                for area in areas:
                    result, _ = network.run(y, n, slot.workspace, PassOptions(gates=given), area.enlarged(factor))
                    into = picture[:, *area.enlarged(factor * network.scale).index]
                    slot.transfer.write(result, list(into))

    def show(
        self,
        picture: NDArray[np.float32],
        source: NDArray[np.float32],
        target: Sequence[NDArray[np.float32]],
        n: int = 0,
    ) -> None:
        """Write the last picture of ``render`` as ``upscale`` would; the other arguments and errors as there."""
        arrays = HostArrays()
        arrays.new_transfer().write(picture, target, self._excess(arrays, source[None], n))

    def _excess(self, arrays: Arrays, x: Array, n: int) -> Array | None:
        """What of (1, 3, H, W) to add to the clipped result (3, scale*H, scale*W), or None where there is nothing."""
        if not self._restore_overshoot:
            return None
        over = arrays.excess(x, self.scale)[0]
        if not arrays.xp.isfinite(over).all():
            raise FrameError(
                f"frame {n} must be finite for overshoot=restore, got Inf; look for it in the source there"
            )
        return over


def _kept(arrays: Arrays, gates: Sequence[Gates]) -> FrameGates:
    """Gates on the host that no later frame writes over."""
    return tuple(tuple(np.array(arrays.to_host(gate)) for gate in each) for each in gates)


def _without_repeats(names: Iterable[str]) -> str:
    """Each name once, in order."""
    return ", ".join(dict.fromkeys(names))
