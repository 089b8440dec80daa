"""The engine: a frame in, a frame out. Device, precision, streams and the passes live here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from queue import Empty, SimpleQueue

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vscugan.errors import DeviceError, FrameError
from vscugan.network_pass import NetworkPass
from vscugan.route import Pass, direct
from vscugan.runtime.backends import BACKENDS, pick_backend
from vscugan.settings import Settings
from vscugan.workspace import Workspace

logger = logging.getLogger(__name__)

AUTO_PRECISIONS = {"cuda": "fp16"}  # elsewhere fp32
DEFAULT_STREAMS = {"cpu": 1, "cuda": 2}


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


class Engine:
    """Upscales frames by one or more passes of the network on one device.

    ``passes``: the route; left out, the one pass that ``settings`` names. Safe to call from several threads;
    ``streams`` frames are computed at once, the others wait. ``notify`` receives what the script's author
    should know once, such as the tile that was chosen.
    """

    def __init__(
        self,
        settings: Settings,
        passes: Sequence[Pass] | None = None,
        *,
        notify: Callable[[str], None] = logger.info,
    ) -> None:
        self.device = pick_device(settings.device, settings.backend)
        precision = settings.precision
        if precision == "auto":
            precision = AUTO_PRECISIONS.get(self.device.type, "fp32")
            if settings.backend != "auto" and precision not in BACKENDS[settings.backend].precisions:
                precision = "fp32"
        self.precision = precision
        self.backend, passed_over = pick_backend(settings.backend, self.device, precision)
        if passed_over:
            notify(f"backend: {self.backend}, because {passed_over}")
        streams = settings.streams or DEFAULT_STREAMS.get(self.device.type, 1)
        route = passes or direct(settings)
        assert route is not None  # a size needs a route
        self.passes = tuple(
            NetworkPass(
                step,
                self.backend,
                self.device,
                precision,
                tile=settings.tile,
                memory=None if settings.memory is None else settings.memory << 20,
                streams=streams,
                notify=notify,
            )
            for step in route
        )
        self.scale = prod(p.scale for p in self.passes)
        self._restore_overshoot = settings.overshoot == "restore"
        self._workspaces: SimpleQueue[Workspace] = SimpleQueue()
        self._slots = threading.BoundedSemaphore(streams)

    def report(self) -> dict[str, str]:
        """What computed the last frame, as frame props: runtime, device, precision, tile and weights of each pass."""
        return {
            "CuganRuntime": self.backend,
            "CuganDevice": str(self.device),
            "CuganPrecision": self.precision,
            "CuganTile": ", ".join(p.tile for p in self.passes),
            "CuganWeights": ", ".join(p.sha256 for p in self.passes),
        }

    def upscale(self, source: NDArray[np.float32], target: Sequence[NDArray[np.float32]], n: int = 0) -> None:
        """Upscale one frame.

        ``source``: (3, H, W) fp32 RGB, any stride; clamped to 0..1 for the network. ``target``: three planes
        (scale*H, scale*W) fp32, written with values in 0..1, or with the source's excess over 0..1 added where
        the settings say so. ``n``: frame number, for messages.
        Raises: FrameError when the result holds NaN or Inf even in fp32; DeviceError when the smallest
        tile does not fit into memory.
        """
        with self._slots, torch.inference_mode(), self._stream(), self._workspace() as workspace:
            host = torch.empty(source.shape, dtype=torch.float32, pin_memory=self.device.type == "cuda")
            np.copyto(host.numpy(), source)
            x = host.to(self.passes[0].runtime.device, non_blocking=True).unsqueeze_(0)
            y = x
            for network in self.passes:
                y = network.run(y.clamp(0, 1), n, workspace)
            over = self._excess(x, n)
            for channel, plane in enumerate(target):
                out = torch.from_numpy(plane)
                if over is None and y.device.type == "cpu":
                    torch.clamp(y[0, channel], 0, 1, out=out)
                else:
                    clipped = y[0, channel].clamp(0, 1)
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
    def _workspace(self) -> Iterator[Workspace]:
        """The workspace of a frame in flight: one that an earlier frame has left, or a new one."""
        try:
            workspace = self._workspaces.get_nowait()
        except Empty:
            workspace = Workspace()
        try:
            yield workspace
        finally:
            workspace.give_all()
            self._workspaces.put(workspace)

    @contextmanager
    def _stream(self) -> Iterator[None]:
        """A CUDA stream of its own for each frame in flight."""
        if self.device.type != "cuda":
            yield
            return
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            yield
            stream.synchronize()


def excess(x: Tensor, scale: int) -> Tensor:
    """What of (1, C, H, W) lies outside of 0..1, enlarged; bilinear, which adds no rings around hard edges."""
    return F.interpolate(x - x.clamp(0, 1), scale_factor=scale, mode="bilinear", align_corners=False)
