"""Which runtime computes: what is installed, what the device can have, and which of them is the fastest."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from vscugan.errors import ArgumentError, DeviceError
from vscugan.install import how_to_repair, why_not
from vscugan.models.weights import Weights
from vscugan.runtime import BACKENDS
from vscugan.runtime.protocol import Runtime


def _nothing(device: torch.device) -> None:
    """A device that lacks nothing."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A runtime as users name it; a row of its module's ``ROWS``.

    ``package``: as Python imports it; ``distributions``: what pip installs it by. ``devices``: kinds of torch's
    devices, and the precisions on each. ``load``: imports the package, raises what that raises. ``make``: a runtime of
    (weights, device, precision). ``native_precisions``: those below fp32 that a device has instructions for.
    ``extras``: what installs it, for each kind of device. ``lacks``: what is missing for a device although the package
    is there, None where nothing is. ``out_of_memory``: what its errors say then, where they are not Python's or torch's
    own. ``streams``: frames at once by default on a kind of device, else 1. ``speed``: times as fast as torch on a
    kind of device in a precision, where that was measured (docs/speed.md): ``auto`` takes the fastest.
    """

    name: str
    package: str
    distributions: tuple[str, ...]
    devices: Mapping[str, tuple[str, ...]]
    load: Callable[[], object]
    make: Callable[[Weights, torch.device, str], Runtime]
    native_precisions: Callable[[torch.device], tuple[str, ...]]
    extras: Mapping[str, str] = field(default_factory=dict)
    lacks: Callable[[torch.device], str | None] = _nothing
    out_of_memory: tuple[str, ...] = ()
    streams: Mapping[str, int] = field(default_factory=dict)
    speed: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @property
    def precisions(self) -> tuple[str, ...]:
        """On any device."""
        return tuple(dict.fromkeys(precision for each in self.devices.values() for precision in each))


def backend_rows() -> tuple[Backend, ...]:
    """Every backend's row."""
    return tuple(map(backend_row, BACKENDS))


def backend_row(name: str) -> Backend:
    """The row of a backend; KeyError where there is none of this name."""
    rows: tuple[Backend, ...] = importlib.import_module(BACKENDS[name]).ROWS
    return next(row for row in rows if row.name == name)


def _missing(backend: Backend, device: torch.device) -> str | None:
    """Why a backend can't be used here, or None where it can."""
    try:
        backend.load()
    except Exception as error:  # whatever a broken installation raises
        return why_not(backend.package, error)
    return backend.lacks(device)


def _fastest(device: torch.device, precision: str) -> tuple[str, str | None]:
    """The fastest backend that is installed and measured, and why faster ones were passed over; else torch."""
    reasons: list[str] = []
    kind = (device.type, precision)
    measured = [row for row in backend_rows() if row.speed.get(kind, 0) > 1]
    for backend in sorted(measured, key=lambda row: -row.speed[kind]):
        if importlib.util.find_spec(backend.package) is None:
            continue  # not installed is no news
        why = _missing(backend, device)
        if why is None:
            return backend.name, "; ".join(reasons) or None
        reasons.append(f"{backend.name} does not load ({why})")
    return "torch", "; ".join(reasons) or None


def _with_int8(name: str, device: torch.device) -> str:
    """The backend for int8; raises ArgumentError where ``name`` or the device can't have it."""
    able = [row for row in backend_rows() if "int8" in row.precisions]
    kinds = list(dict.fromkeys(kind for row in able for kind, each in row.devices.items() if "int8" in each))
    for argument, value, allowed in (
        ("device", device.type, kinds),
        ("backend", name, [row.name for row in able if "int8" in row.devices.get(device.type, ())]),
    ):
        if value not in (*allowed, "auto"):
            raise ArgumentError(
                f"{argument} must be {' or '.join(allowed)} for precision=int8, got {value}; use it, or precision=auto"
            )
        first = allowed[0]
    return first if name == "auto" else name


def pick_backend(name: str, device: torch.device, precision: str) -> tuple[str, str | None]:
    """The backend for ``name`` (``auto``: the fastest that is installed), and why a faster one was passed over.

    Raises: ArgumentError where the backend does not have the device or precision, DeviceError where it is
    not installed.
    """
    if precision == "int8":
        name = _with_int8(name, device)
    if name == "auto":
        return _fastest(device, precision)
    backend = backend_row(name)
    for argument, value, allowed in (
        ("device", device.type, tuple(backend.devices)),
        ("precision", precision, backend.devices.get(device.type, ())),
    ):
        if value not in allowed:
            listed = " or ".join(allowed)
            raise ArgumentError(
                f"{argument} must be {listed} for backend={name}, got {value}; choose one of these, or backend=torch"
            )
    why = _missing(backend, device)
    if why is not None:
        hint = how_to_repair(backend.extras.get(device.type, name), why)
        raise DeviceError(f"backend={name} must be installed, got {why}; {hint}, or use backend=auto")
    return name, None


def is_native(name: str, device: torch.device, precision: str) -> bool:
    """Whether a backend that ``pick_backend`` gave computes on the device in this precision by instructions for it.

    Else it would take longer than fp32, or be fp32 by another name. int8 has a refusal of its own.
    """
    return precision in ("fp32", "int8") or precision in backend_row(name).native_precisions(device)
