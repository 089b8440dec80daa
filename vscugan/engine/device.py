"""Which device computes."""

from __future__ import annotations

import torch

from vscugan.errors import DeviceError
from vscugan.runtime.backends import backend_row


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
        usable = present if backend == "auto" else [kind for kind in present if kind in backend_row(backend).devices]
        name = (usable or present)[0]
    kind, _, index = name.partition(":")
    count = _count(kind)
    if int(index or 0) >= count:
        raise DeviceError(
            f"device={name} must be one that torch sees, got {count} {kind.upper()} devices; "
            "use device=cpu, or check the driver and that torch is built for it"
        )
    return torch.device(kind) if kind in ("cpu", "mps") else torch.device(kind, int(index or 0))
