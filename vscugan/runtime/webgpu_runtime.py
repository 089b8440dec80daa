"""WebGPU, by a plugin of ONNX Runtime: one GPU of any maker, by Vulkan, Direct3D 12 or Metal."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vscugan.errors import DeviceError
from vscugan.models.weights import Weights
from vscugan.runtime.backends import Backend
from vscugan.runtime.device import Adapter, Device
from vscugan.runtime.graph_runtime import GraphRuntime, NamedArrays, Session
from vscugan.runtime.vulkan import DISCRETE, INTEGRATED, VIRTUAL, VulkanDevice, vulkan_devices
from vscugan.runtime.workspace import Workspace

PLUGIN, PROVIDER = "onnxruntime_ep_webgpu", "WebGpuExecutionProvider"
#: the environment's word for a GPU in software, which the plugin does not take otherwise
ALLOW_SOFTWARE = "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER"
#: maxStorageBufferBindingSize that every WebGPU has, for where its own is not known
LEAST_BUFFER = 128 << 20
#: the smallest model: y = Relu(x)
SMALLEST = bytes.fromhex(
    "08083a330a0c0a0178120179220452656c751201675a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a02080142040a001011"
)
#: in which the plugin takes a GPU, as it asks for high performance
ORDER = (DISCRETE, INTEGRATED, VIRTUAL)

#: for all sessions of the process: two at work at once crash (onnxruntime issues 31627 and 32561)
_lock = threading.RLock()


@cache
def _registered() -> Any:
    """onnxruntime, with the plugin in it; both are imported when they are first needed."""
    plugin, package = (importlib.import_module(name) for name in (PLUGIN, "onnxruntime"))
    if not any(device.ep_name == PROVIDER for device in package.get_ep_devices()):
        package.register_execution_provider_library(PROVIDER, plugin.get_library_path())
    return package


def package() -> Any:
    """See ``_registered``, which may run once only."""
    with _lock:
        return _registered()


def _plugin_devices() -> list[Any]:
    """The one that the plugin takes of those that it says it can run on; empty where there is none.

    They are the GPUs of the system's list, and software where the environment allows it.
    """
    devices = [device for device in package().get_ep_devices() if device.ep_name == PROVIDER]
    return sorted(devices, key=lambda each: each.device.metadata.get("Discrete") != "1")[:1]


def _vulkans_first() -> VulkanDevice | None:
    """The GPU that the plugin takes where it goes by Vulkan, which is on Linux."""
    devices = vulkan_devices() if sys.platform == "linux" else ()
    kinds = {kind: at for at, kind in enumerate(ORDER)}
    return min(devices, key=lambda device: kinds.get(device.kind, len(kinds)), default=None)


def adapters() -> list[Adapter]:
    """The one GPU that the plugin takes by itself; none where there is none, or no plugin that loads."""
    if importlib.util.find_spec(PLUGIN) is None:
        return []
    device = _vulkans_first()
    if sys.platform == "linux" and device is None:
        return []
    if device is not None and device.adapter.is_software and not os.environ.get(ALLOW_SOFTWARE):
        return []
    try:
        hardware = [each.device for each in _plugin_devices()]
    except Exception:  # whatever a broken installation raises; ``load`` says it
        return []
    found = [device.adapter if device else _described(each) for each in hardware]
    return [replace(adapter, refusal=_refusal()) for adapter in found]


@cache
def _first_session() -> tuple[Any, str]:
    """A session for as long as the process lives, and why there is none, empty where there is.

    With the last session the plugin would let go of the GPU.
    """
    try:
        return new_session(SMALLEST), ""
    except DeviceError as error:
        return None, str(error)


def _refusal() -> str:
    """Why the plugin does not take its GPU, empty where it does."""
    with _lock:
        return _first_session()[1]


def new_session(model: bytes) -> Any:
    """A session whose every node is WebGPU's. Raises: DeviceError where ONNX Runtime would go on with the CPU."""
    options = package().SessionOptions()
    options.log_severity_level = 3  # errors: warnings go to stderr for each graph
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    with _lock:
        try:
            options.add_provider_for_devices(_plugin_devices(), {})
            session = package().InferenceSession(model, options)
        except Exception as error:
            raise DeviceError(" ".join(str(error).split()).rpartition("was false. ")[2]) from error
        first = session.get_providers()[0]
        if first != PROVIDER:
            raise DeviceError(f"it would compute by {first}")
        return session


def _described(hardware: Any) -> Adapter:
    """What ONNX Runtime says of a GPU, on systems where that has a name."""
    name = hardware.metadata.get("Description") or f"{hardware.vendor} {hardware.device_id:#06x}"
    is_software = hardware.type.name == "CPU"
    is_discrete = hardware.metadata.get("Discrete") == "1"
    return Adapter(name=name, is_integrated=not (is_software or is_discrete), is_software=is_software)


class _ClosedAlone:
    """A session that is freed under the lock."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def __del__(self) -> None:
        with _lock:
            del self.session


class WebGpuRuntime(GraphRuntime):
    """Runs graphs on ``adapter``, and on nothing else."""

    name = "webgpu"

    def __init__(self, weights: Weights, adapter: Adapter) -> None:
        super().__init__(weights)
        self._adapter = adapter
        device = _vulkans_first()
        self.largest_buffer = LEAST_BUFFER if device is None else device.largest_buffer

    def load(self, model: bytes, outputs: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Session:
        """See ``GraphRuntime``. Raises: DeviceError where WebGPU does not take the adapter."""
        try:
            kept = _ClosedAlone(new_session(model))
        except DeviceError as error:
            raise DeviceError(
                f"backend=webgpu must have a GPU that WebGPU takes, got {self._adapter.name} ({error}); "
                "update its driver (Mesa: 24 or newer), or use another backend or device=cpu"
            ) from error

        def run(inputs: Mapping[str, NDArray[np.float32]], workspace: Workspace) -> NamedArrays:
            with _lock:
                return dict(zip(outputs, kept.session.run(list(outputs), dict(inputs)), strict=True))

        return run


def _lacks(device: Device) -> str | None:
    """What WebGPU does not have of a device."""
    found = next((adapter for adapter in adapters() if adapter == device.adapter), None)
    if found is not None and not found.refusal:
        return None
    name = device.adapter and device.adapter.name
    return f"a WebGPU without {name}" if found is None else f"a WebGPU that refuses {name}: {found.refusal}"


def _make(weights: Weights, device: Device, precision: str) -> WebGpuRuntime:
    assert device.adapter is not None  # the kinds of devices are the row's
    return WebGpuRuntime(weights, device.adapter)


ROWS = (
    Backend(
        name="webgpu",
        package=PLUGIN,
        distributions=("onnxruntime-ep-webgpu",),
        plugin_of=("onnxruntime",),
        devices={"gpu": ("fp32",)},
        extras={"gpu": "gpu"},
        load=package,
        make=_make,
        native_precisions=lambda device: (),
        lacks=_lacks,
        out_of_memory=("Too many storage buffers", "exceeds the max buffer size", "Out of memory"),
        adapters=adapters,
    ),
)
