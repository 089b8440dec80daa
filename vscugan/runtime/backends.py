"""Which runtime computes: what is installed, what the device can have, and which of them is the fastest."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vscugan.errors import ArgumentError, DeviceError
from vscugan.install import how_to_repair, why_not
from vscugan.models.weights import Weights
from vscugan.models.whole_network import Form
from vscugan.runtime import BACKENDS
from vscugan.runtime.device import Adapter, Device, instruction_set
from vscugan.runtime.protocol import Runtime

#: Forms of weights in words, those that not every backend runs.
_FORMS: Mapping[Form, str] = {"module": "a network that spandrel reads", "onnx": "a network in ONNX"}


def _nothing(device: Device) -> None:
    """A device that lacks nothing."""


def _no_adapters() -> Sequence[Adapter]:
    """What only torch's devices can be used by."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A runtime as users name it; a row of its module's ``ROWS``.

    ``package``: as Python imports it; ``distributions``: what pip installs it by. ``devices``: kinds of
    devices, and the precisions on each. ``load``: imports the package, raises what that raises. ``make``: a runtime of
    (weights, device, precision). ``native_precisions``: those below fp32 that a device has instructions for.
    ``extras``: what installs it, for each kind of device. ``lacks``: what is missing for a device although the package
    is there, None where nothing is. ``out_of_memory``: what its errors say then, where they are not Python's or torch's
    own. ``streams``: frames at once by default on a kind of device, else 1. ``speed``: times as fast as torch in a
    precision, where that was measured (docs/figures/speed.md), by kind of device or, for a CPU, by its instruction set:
    ``auto`` takes the fastest. ``adapters``: the GPUs that it reaches by itself, in its own order; does not raise.
    ``plugin_of``: the packages that its own is a plugin of; they compute, too.
    ``takes``: the forms of weights that it runs.
    ``meanwhile``: the backend that computes while this one builds engines for minutes, None where it builds none.
    """

    name: str
    package: str
    distributions: tuple[str, ...]
    plugin_of: tuple[str, ...] = ()
    devices: Mapping[str, tuple[str, ...]]
    load: Callable[[], object]
    make: Callable[[Weights, Device, str], Runtime]
    native_precisions: Callable[[Device], tuple[str, ...]]
    extras: Mapping[str, str] = field(default_factory=dict)
    lacks: Callable[[Device], str | None] = _nothing
    out_of_memory: tuple[str, ...] = ()
    streams: Mapping[str, int] = field(default_factory=dict)
    speed: Mapping[tuple[str, str], float] = field(default_factory=dict)
    takes: tuple[Form, ...] = ("layers",)
    meanwhile: str | None = None
    adapters: Callable[[], Sequence[Adapter]] = _no_adapters

    def speed_on(self, device: Device, precision: str) -> float:
        """``speed`` there; torch's own is 1, and what was not measured comes after it."""
        known = self.speed.get((device.kind, precision), 1.0 if self.name == "torch" else 0.0)
        return self.speed.get((instruction_set(), precision), known) if device.kind == "cpu" else known

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


def _missing_package(backend: Backend) -> str | None:
    try:
        backend.load()
    except Exception as error:  # whatever a broken installation raises
        return why_not(backend.package, error)
    return None


def _missing(backend: Backend, device: Device) -> str | None:
    """Why a backend can't be used here, or None where it can."""
    return _missing_package(backend) or backend.lacks(device)


def is_usable(backend: Backend, device: Device) -> bool:
    """Whether a backend's package is there and loads, with all that it needs for a device."""
    return _missing(backend, device) is None


def require_package(backend: Backend, kind: str) -> None:
    """Raise DeviceError where the package is not installed that a backend needs for a kind of device."""
    _require(backend, kind, _missing_package(backend))


def _require(backend: Backend, kind: str, why: str | None) -> None:
    if why is not None:
        hint = how_to_repair(backend.extras.get(kind, backend.name), why)
        raise DeviceError(f"backend={backend.name} must be installed, got {why}; {hint}, or use backend=auto")


def _fastest(device: Device, precision: str, form: Form) -> tuple[str, str | None]:
    """The fastest backend that is installed, by what was measured, else torch; and why it is taken.

    Raises: DeviceError where none is installed that reaches the device.
    """
    reasons: list[str] = []
    where = f"CPUs with {instruction_set().upper()}" if device.kind == "cpu" else device.kind.upper()
    able = [row for row in backend_rows() if form in row.takes and precision in row.devices.get(device.kind, ())]
    for backend in sorted(able, key=lambda row: -row.speed_on(device, precision)):
        if importlib.util.find_spec(backend.package) is None:
            continue  # not installed is no news
        why = _missing(backend, device)
        if why is None:
            if form == "layers" and backend.speed_on(device, precision) > 1:
                reasons.append(f"it is the fastest for {precision} on {where}")
            return backend.name, "; ".join(reasons) or None
        reasons.append(f"{backend.name} does not load ({why})")
    raise DeviceError(
        f"device={device} must be one that a runtime here has {precision} for, got "
        f"{'; '.join(reasons) or 'none installed'}; use device=cpu"
    )


def _with_int8(name: str, device: Device) -> str:
    """The backend for int8; raises ArgumentError where ``name`` or the device can't have it."""
    able = [row for row in backend_rows() if "int8" in row.precisions]
    kinds = list(dict.fromkeys(kind for row in able for kind, each in row.devices.items() if "int8" in each))
    for argument, value, allowed in (
        ("device", device.kind, kinds),
        ("backend", name, [row.name for row in able if "int8" in row.devices.get(device.kind, ())]),
    ):
        if value not in (*allowed, "auto"):
            raise ArgumentError(
                f"{argument} must be {' or '.join(allowed)} for precision=int8, got {value}; use it, or precision=auto"
            )
        first = allowed[0]
    return first if name == "auto" else name


def pick_backend(name: str, device: Device, precision: str, form: Form = "layers") -> tuple[str, str | None]:
    """The backend for ``name`` (``auto``: the fastest that is installed), and why ``auto`` takes it.

    ``form``: of the weights.
    Raises: ArgumentError where the backend does not have the device or precision, or can't run the weights;
    DeviceError where it is not installed.
    """
    if precision == "int8":
        name = _with_int8(name, device)
    if name == "auto":
        return _fastest(device, precision, form)
    backend = backend_row(name)
    if form not in backend.takes:
        able = " or ".join(row.name for row in backend_rows() if form in row.takes)
        raise ArgumentError(f"backend must be {able} for {_FORMS[form]}, got {name}; use it, or backend=auto")
    for argument, value, allowed in (
        ("device", device.kind, tuple(backend.devices)),
        ("precision", precision, backend.devices.get(device.kind, ())),
    ):
        if value not in allowed:
            listed = " or ".join(allowed)
            raise ArgumentError(
                f"{argument} must be {listed} for backend={name}, got {value}; choose one of these, or backend=torch"
            )
    _require(backend, device.kind, _missing(backend, device))
    return name, None


def is_native(name: str, device: Device, precision: str) -> bool:
    """Whether a backend that ``pick_backend`` gave computes on the device in this precision by instructions for it.

    Else it would take longer than fp32, or be fp32 by another name. int8 has a refusal of its own.
    """
    return precision in ("fp32", "int8") or precision in backend_row(name).native_precisions(device)
