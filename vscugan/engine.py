"""The engine: a frame in, a frame out. Device, precision, streams and the passes live here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from math import prod
from queue import PriorityQueue

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vscugan.errors import DeviceError, FrameError
from vscugan.network_pass import Asked, NetworkPass
from vscugan.route import Pass, direct
from vscugan.runtime.backends import BACKENDS, is_native, pick_backend
from vscugan.settings import Settings
from vscugan.tiling.geometry import Rectangle
from vscugan.tiling.run import Gates
from vscugan.workspace import Workspace

logger = logging.getLogger(__name__)

AUTO_PRECISIONS = {"cuda": "fp16"}  # elsewhere fp32
#: Frames at once on a device, else 1. On two CPU cores two frames gain torch 10 % and OpenVINO nothing, while each
#: has half of the memory: not worth features that must be computed again.
DEFAULT_STREAMS = {("cuda", "torch"): 2}


def _count(kind: str) -> int:
    """How many devices of a kind torch sees."""
    if kind == "cpu":
        return 1
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    module = {"cuda": torch.cuda, "xpu": torch.xpu}[kind]
    return module.device_count() if module.is_available() else 0


def pick_device(name: str, backend: str = "auto") -> torch.device:
    """The device for ``auto``, ``cpu``, ``mps``, ``cuda``, ``cuda:N``, ``xpu`` or ``xpu:N``.

    ``auto`` is the first that is there, of those that ``backend`` can use where it can use any of them.
    Raises: DeviceError when it is not there.
    """
    if name == "auto":
        present = [kind for kind in ("cuda", "xpu", "mps", "cpu") if _count(kind)]
        usable = present if backend == "auto" else [kind for kind in present if kind in BACKENDS[backend].devices]
        name = (usable or present)[0]
    kind, _, index = name.partition(":")
    count = _count(kind)
    if int(index or 0) >= count:
        raise DeviceError(
            f"device={name} must be one that torch sees, got {count} {kind.upper()} devices; "
            "use device=cpu, or check the driver and that torch is built for it"
        )
    return torch.device(kind) if kind in ("cpu", "mps") else torch.device(kind, int(index or 0))


#: The gates of a frame, for each pass of the network.
FrameGates = Sequence[Gates]


@dataclass(kw_only=True)
class Spent:
    """Time that lanes have computed, not counting what frames waited for them.

    Of whole frames, the first one in each workspace does not count: it warms up.
    """

    whole_frames: int = 0
    whole_s: float = 0.0
    part_s: float = 0.0  #: on parts of frames


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One device with the passes on it; frames go to whichever lane is free."""

    device: torch.device
    backend: str
    passes: tuple[NetworkPass, ...]


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place for one frame in flight on a lane, with what it uses again from frame to frame.

    CUDA's allocator keeps memory for each stream: a slot keeps its stream, so that its next frame finds that memory.
    """

    lane: Lane
    stream: torch.cuda.Stream | None  #: None where the device is not CUDA's
    workspace: Workspace


def _precision(settings: Settings, devices: Sequence[torch.device], notify: Callable[[str], None]) -> str:
    """One precision for all devices: a frame must not tell which of them computed it."""
    wanted = settings.precision
    if wanted == "auto":
        found = {AUTO_PRECISIONS.get(device.type, "fp32") for device in devices}
        wanted = found.pop() if len(found) == 1 else "fp32"
        return wanted if settings.backend == "auto" or wanted in BACKENDS[settings.backend].precisions else "fp32"
    for device in devices:
        backend, _ = pick_backend(settings.backend, device, wanted)
        if not is_native(backend, device, wanted):
            notify(f"precision: fp32, because {backend} on {device} has no instructions for {wanted}")
            return "fp32"
    return wanted


class Engine:
    """Upscales frames by one or more passes of the network, on one or more devices.

    ``passes``: the route; left out, the one pass that ``settings`` names. Safe to call from several threads;
    each device computes ``streams`` frames at once, the others wait and go to the first device of the list that
    is free. ``notify`` receives what the script's author should know once, such as the tile that was chosen.
    """

    def __init__(
        self,
        settings: Settings,
        passes: Sequence[Pass] | None = None,
        *,
        notify: Callable[[str], None] = logger.info,
    ) -> None:
        devices = [pick_device(name, settings.backend) for name in settings.device]
        self.precision = _precision(settings, devices, notify)
        route = passes or direct(settings)
        assert route is not None  # a size needs a route
        self.lanes = tuple(self._lane(device, devices, settings, route, notify) for device in devices)
        self.scale = prod(p.scale for p in self.lanes[0].passes)
        self.spent, self._spent_lock = Spent(), threading.Lock()
        self._restore_overshoot = settings.overshoot == "restore"
        self._slots = tuple(
            Slot(lane=lane, stream=_stream(lane.device), workspace=Workspace())
            for lane in self.lanes
            for _ in range(_streams(settings, lane.device, lane.backend))
        )
        self._free: PriorityQueue[int] = PriorityQueue()  # of the slots' numbers
        for number in range(len(self._slots)):
            self._free.put(number)

    def _lane(
        self,
        device: torch.device,
        devices: Sequence[torch.device],
        settings: Settings,
        route: Sequence[Pass],
        notify: Callable[[str], None],
    ) -> Lane:
        backend, passed_over = pick_backend(settings.backend, device, self.precision)
        if passed_over:
            notify(f"backend: {backend}, because {passed_over}")
        return Lane(
            device=device,
            backend=backend,
            passes=tuple(
                NetworkPass(
                    step,
                    backend,
                    device,
                    self.precision,
                    tile=settings.tile,
                    memory=None if settings.memory is None else settings.memory << 20,
                    in_flight=_streams(settings, device, backend) * devices.count(device),
                    notify=notify,
                )
                for step in route
            ),
        )

    @property
    def halo_px(self) -> int:
        """Border that the first pass reads around a part of a frame."""
        return self.lanes[0].passes[0].runtime.architecture.pad_px

    @property
    def returns_gates(self) -> bool:
        """Whether a frame's gates come with the frame; else asking for them costs time and precision."""
        return all(p.runtime.tells_gates for lane in self.lanes for p in lane.passes)

    @property
    def summary(self) -> str:
        """What computes, in words."""
        return f"{', '.join(f'{lane.backend} on {lane.device}' for lane in self.lanes)}, {self.precision}"

    def report(self) -> dict[str, str]:
        """What computes, as frame props: runtime, device, precision, tile and weights of each pass."""
        return {
            "CuganRuntime": _listed(lane.backend for lane in self.lanes),
            "CuganDevice": _listed(str(lane.device) for lane in self.lanes),
            "CuganPrecision": self.precision,
            "CuganTile": ", ".join(p.tile for p in self.lanes[0].passes),
            "CuganWeights": ", ".join(p.sha256 for p in self.lanes[0].passes),
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

        ``source``: (3, H, W) fp32 RGB, any stride; clamped to 0..1 for the network. ``target``: three planes
        (scale*H, scale*W) fp32, written with values in 0..1, or with the source's excess over 0..1 added where
        the settings say so. ``n``: frame number, for messages. ``gates``: to be used in place of the frame's own.
        Raises: FrameError when the result holds NaN or Inf even in fp32; DeviceError when the smallest
        tile does not fit into memory.
        """
        with self._frame_on_a_lane(source) as (lane, workspace, x):
            used, y = list[Gates](), x[0]
            for made, own in _passes(lane, workspace, x, n, gates, with_gates):
                used.append(own)
                y = made
            self._write(y, x, target, n)
            return _kept(used) if with_gates else ()

    def render(
        self, source: NDArray[np.float32], n: int = 0, gates: FrameGates | None = None, *, with_gates: bool = True
    ) -> tuple[list[Tensor], FrameGates]:
        """As ``upscale``, but the results stay here, so that ``repaint`` can change them.

        Returns each pass's, (3, h, w) fp32 in 0..1 on the host, and the gates, none where they were not asked for.
        """
        with self._frame_on_a_lane(source) as (lane, workspace, x):
            used, pictures = list[Gates](), list[Tensor]()
            for made, own in _passes(lane, workspace, x, n, gates, with_gates):
                used.append(own)
                pictures.append(torch.empty(made.shape).copy_(made).clamp_(0, 1))
            return pictures, _kept(used) if with_gates else ()

    def repaint(
        self,
        pictures: Sequence[Tensor],
        source: NDArray[np.float32],
        areas: Sequence[Rectangle],
        gates: FrameGates,
        n: int = 0,
    ) -> None:
        """Compute ``areas`` of ``source`` with these gates, and write them into the pictures that ``render`` gave.

        The areas' ends are multiples of 8 px, or the frame's ends; ``source`` and errors as in ``upscale``.
        """
        with self._frame_on_a_lane(source, whole=False) as (lane, workspace, x):
            y, factor = x.clamp_(0, 1), 1
            for at, (network, picture, known) in enumerate(zip(lane.passes, pictures, gates, strict=True)):
                if at:
                    y, factor = pictures[at - 1].to(x.device)[None], factor * lane.passes[at - 1].scale
                for area in areas:
                    made, _ = network.run(y, n, workspace, Asked(gates=known, area=area.enlarged(factor)))
                    torch.clamp(made, 0, 1, out=made)
                    picture[:, *area.enlarged(factor * network.scale).index].copy_(made)

    def show(
        self, picture: Tensor, source: NDArray[np.float32], target: Sequence[NDArray[np.float32]], n: int = 0
    ) -> None:
        """Write the last picture that ``render`` gave as ``upscale`` would; the other arguments and errors as there."""
        with torch.inference_mode():
            self._write(picture, torch.from_numpy(source)[None], target, n)

    @contextmanager
    def _frame_on_a_lane(
        self, source: NDArray[np.float32], *, whole: bool = True
    ) -> Iterator[tuple[Lane, Workspace, Tensor]]:
        """A lane that is free, and (3, H, W) as a (1, 3, H, W) tensor on its device; ``whole``: for ``spent``."""
        with self._free_slot() as slot, torch.inference_mode(), _on_stream(slot.stream):
            lane = slot.lane
            start = time.perf_counter()
            host = torch.empty(source.shape, dtype=torch.float32, pin_memory=lane.device.type == "cuda")
            np.copyto(host.numpy(), source)
            yield lane, slot.workspace, host.to(lane.passes[0].runtime.device, non_blocking=True).unsqueeze_(0)
            seconds = time.perf_counter() - start
            is_counted = whole and slot.workspace.is_warm
            slot.workspace.is_warm |= whole
        with self._spent_lock:
            self.spent.whole_frames += is_counted
            self.spent.whole_s += seconds if is_counted else 0
            self.spent.part_s += 0 if whole else seconds

    def _write(self, y: Tensor, x: Tensor, target: Sequence[NDArray[np.float32]], n: int) -> None:
        """Clip (3, scale*H, scale*W) and write it, with the excess of ``x`` (1, 3, H, W) where that is asked for."""
        over = self._excess(x, n)
        for channel, plane in enumerate(target):
            out = torch.from_numpy(plane)
            if over is None and y.device.type == "cpu":
                torch.clamp(y[channel], 0, 1, out=out)
            else:
                clipped = y[channel].clamp(0, 1)
                out.copy_(clipped if over is None else clipped + over[0, channel])

    def _excess(self, x: Tensor, n: int) -> Tensor | None:
        """What to add to the clipped result, or None where there is nothing."""
        if not self._restore_overshoot:
            return None
        over = excess(x, self.scale)
        if not torch.isfinite(over).all():
            raise FrameError(
                f"frame {n} must be finite for overshoot=restore, got Inf; look for it in the source there"
            )
        return over

    @contextmanager
    def _free_slot(self) -> Iterator[Slot]:
        """The first slot that is free, of the first device that has one; waited for where none is."""
        number = self._free.get()
        slot = self._slots[number]
        try:
            yield slot
        finally:
            slot.workspace.give_all()
            self._free.put(number)


def _passes(
    lane: Lane, workspace: Workspace, x: Tensor, n: int, gates: FrameGates | None, with_gates: bool
) -> Iterator[tuple[Tensor, Gates]]:
    """Each pass over (1, 3, H, W): what ``NetworkPass.run`` returns, to be used before the next one runs."""
    for network, known in zip(lane.passes, gates or repeat(None), strict=False):
        made, own = network.run(x.clamp(0, 1), n, workspace, Asked(gates=known, with_gates=with_gates))
        yield made, own
        x = made[None]


def _streams(settings: Settings, device: torch.device, backend: str) -> int:
    return settings.streams or DEFAULT_STREAMS.get((device.type, backend), 1)


def _kept(gates: Sequence[Gates]) -> FrameGates:
    """Gates that no later frame writes over."""
    return tuple(tuple(g.to("cpu", copy=True) for g in each) for each in gates)


def _listed(names: Iterable[str]) -> str:
    """Each name once, in order."""
    return ", ".join(dict.fromkeys(names))


def _stream(device: torch.device) -> torch.cuda.Stream | None:
    """A stream of its own for the frames of a slot."""
    return torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]


@contextmanager
def _on_stream(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """What is asked of the stream meanwhile is done at the end."""
    if stream is None:
        yield
        return
    with torch.cuda.stream(stream):
        yield
        stream.synchronize()


def excess(x: Tensor, scale: int) -> Tensor:
    """What of (1, C, H, W) lies outside of 0..1, enlarged; bilinear, which adds no rings around hard edges."""
    return F.interpolate(x - x.clamp(0, 1), scale_factor=scale, mode="bilinear", align_corners=False)
