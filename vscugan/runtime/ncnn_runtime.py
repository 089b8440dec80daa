"""The ncnn runtime: CPUs, and GPUs of any make by Vulkan."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vscugan.errors import DeviceError
from vscugan.models.weights import Weights
from vscugan.runtime.backends import Backend
from vscugan.runtime.device import Adapter, Device, cpu_threads, numbered
from vscugan.runtime.graph_runtime import GraphRuntime, NamedArrays, Session
from vscugan.runtime.ncnn_memory import allocator_class
from vscugan.runtime.ncnn_writer import parts
from vscugan.runtime.vulkan import vulkan_device, vulkan_devices
from vscugan.runtime.workspace import Workspace

#: What ``Extractor.extract`` returns where an allocation failed.
OUT_OF_MEMORY = -100
#: Winograd's matrices for 4x4 px, as a share of the map.
WINOGRAD_SIZE = 36 / 16
#: What ncnn prints about each GPU when it first looks for them.
CHATTER = re.compile(rb"\[\d+ .*\]  .*\n|load vulkan driver failed\n")

_vulkan_lock = threading.Lock()


def package() -> Any:
    """ncnn itself, imported when it is first needed."""
    return importlib.import_module("ncnn")


class NcnnRuntime(GraphRuntime):
    """Runs graphs on the CPU, in fp32."""

    name = "ncnn"
    format = "ncnn"
    dense_windows = False  # what it reads is copied into its blobs
    # in tiles: 4.2 (2x, 3x) to 5 (4x) that Winograd needs at once, the rest for what is not counted beside the maps
    working_maps = 8.0

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        #: maps that later stages read; they stay in the blobs' memory
        self._handed_on = {name for stage in self.architecture.stages for name in stage.writes} - {"output"}

    def _new_net(self) -> Any:
        """An empty net with its options."""
        net = package().Net()
        net.opt.num_threads = min(cpu_threads(), package().get_physical_cpu_count())
        net.opt.openmp_blocktime = 1  # ms; idle threads must sleep: the encoder needs the cores
        _set_fp16(net, False)
        return net

    def load(self, model: bytes, outputs: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Session:
        """See ``GraphRuntime``."""
        net = self._new_net()
        param, data = parts(model)
        if net.load_param_mem(param):
            raise RuntimeError("ncnn must read the graph, got a refusal; reinstall ncnn and vscugan")
        net.load_model_mem(data)
        self._require_device(net)

        def run(inputs: Mapping[str, NDArray[np.float32]], workspace: Workspace) -> NamedArrays:
            extractor = net.create_extractor()
            allocator = self._allocator(workspace)
            if allocator is not None:
                extractor.set_blob_allocator(allocator)
                extractor.set_workspace_allocator(allocator)
            for name, values in inputs.items():
                extractor.input(name, _blob(name, values, allocator))
            ran = {name: _values(name, *_extracted(extractor, name)) for name in outputs}
            return {name: y if name in self._handed_on else self._copied(y, workspace) for name, y in ran.items()}

        return run

    def _copied(self, values: NDArray[np.float32], workspace: Workspace) -> NDArray[np.float32]:
        """The same in memory of the workspace."""
        taken: NDArray[np.float32] = self.arrays.new_picture(values.shape, workspace)
        np.copyto(taken, values)
        return taken

    def _require_device(self, net: Any) -> None:
        """Raises: DeviceError where a net was loaded onto another device than was asked for."""

    def _allocator(self, workspace: Workspace) -> Any | None:
        """Of the blobs in the host's memory; None = ncnn's own."""
        return workspace.request(allocator_class, allocator_class())


class NcnnVulkanRuntime(NcnnRuntime):
    """Runs graphs on the GPU that ncnn gives this ``number``, whose buffers may have ``buffer_bytes``."""

    keeps_maps = False  # ncnn's binding for Python has no tensors on GPUs
    working_maps = 9.0

    def __init__(self, weights: Weights, *, number: int, buffer_bytes: int, precision: str) -> None:
        super().__init__(weights)
        self.largest_buffer: int = int(buffer_bytes / WINOGRAD_SIZE)
        self._number, self._precision = number, precision
        self.returns_gates = precision == "fp32"

    def _new_net(self) -> Any:
        net = super()._new_net()
        _set_fp16(net, self._precision == "fp16")
        net.opt.use_vulkan_compute = True
        net.opt.use_winograd23_convolution = False  # its matrices are four times as large as a map
        net.set_vulkan_device(self._number)
        return net

    def load(self, model: bytes, outputs: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Session:
        """See ``GraphRuntime``."""
        session = super().load(model, outputs, shapes)

        def run(inputs: Mapping[str, NDArray[np.float32]], workspace: Workspace) -> NamedArrays:
            height, width = inputs["input"].shape[2:]
            widest_bytes = int(self.architecture.shapes.widest * height * width) * self.arrays.item_bytes
            if widest_bytes > self.largest_buffer:  # ncnn would crash, or read beyond its end
                raise _no_memory(f"a map of {widest_bytes >> 20} MiB, of {self.largest_buffer >> 20} at most")
            return session(inputs, workspace)

        return run

    def _require_device(self, net: Any) -> None:
        # ncnn takes its default GPU, or the CPU, for a number that it does not have
        if not net.opt.use_vulkan_compute or net.vulkan_device() is not package().get_gpu_device(self._number):
            raise DeviceError(
                f"backend=ncnn must compute on ncnn's GPU {self._number}, got another device; "
                "check the driver and VK_DRIVER_FILES, or use device=cpu"
            )

    def _allocator(self, workspace: Workspace) -> None:
        """The host's memory has pictures alone."""


def _set_fp16(net: Any, fp16: bool) -> None:
    for name in ("packed", "storage", "arithmetic"):
        setattr(net.opt, f"use_fp16_{name}", fp16)
    net.opt.use_bf16_packed = net.opt.use_bf16_storage = False


def _no_memory(name: str) -> MemoryError:
    return MemoryError(f"ncnn has no memory for {name}")


def _blob(name: str, values: NDArray[np.float32], allocator: Any | None) -> Any:
    """A blob with a copy of an input (1, C, H, W)."""
    channels, height, width = values.shape[1:]
    # one that is made of an array has no gaps between channels, which Vulkan reads as if they were there
    blob = package().Mat(width, height, channels, allocator=allocator)
    if blob.empty():
        raise _no_memory(name)
    np.copyto(np.asarray(blob), values[0])
    return blob


def _extracted(extractor: Any, name: str) -> tuple[int, Any]:
    """ncnn's error and an output's blob, which an ``extract`` that returns it would copy."""
    blob = package().Mat()
    return extractor.extract(name, blob), blob


def _values(name: str, error: int, blob: Any) -> NDArray[np.float32]:
    """An output's values (1, C, H, W), in the blob's memory."""
    if error == OUT_OF_MEMORY or (error == 0 and blob.empty()):
        raise _no_memory(name)
    if error:
        raise RuntimeError(f"ncnn must compute {name}, got error {error}; use another backend")
    return np.asarray(blob)[None]


def adapters() -> Sequence[Adapter]:
    """The GPUs that Vulkan lists, where ncnn is installed; ncnn itself, which would keep them open, is not asked."""
    if importlib.util.find_spec("ncnn") is None:
        return []
    return [device.adapter for device in vulkan_devices()]


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Hold stderr back, and then write what is not ncnn's account of the GPUs."""
    try:
        stderr = os.dup(2)
    except OSError:  # a program with windows may have none
        yield
        return
    with tempfile.TemporaryFile() as held:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            with suppress(OSError):  # nobody reads it any more
                os.write(2, CHATTER.sub(b"", held.read()))


def _listed_by_ncnn() -> Sequence[Adapter]:
    """The GPUs as ncnn numbers them."""
    with _vulkan_lock, _without_chatter():
        count = package().get_gpu_count()
        return numbered(Adapter(name=package().get_gpu_info(number).device_name()) for number in range(count))


def _lacks(device: Device) -> str | None:
    """What only another runtime reaches."""
    return None if device.kind == "cpu" or device.adapter in adapters() else f"a Vulkan without {device.adapter_name}"


def native_precisions(device: Device) -> tuple[str, ...]:
    """The precisions below fp32 that a device has instructions for."""
    gpu = vulkan_device(device.adapter)
    return ("fp16",) if gpu is not None and gpu.has_fp16 else ()


def _make(weights: Weights, device: Device, precision: str) -> NcnnRuntime:
    if device.kind == "cpu":
        return NcnnRuntime(weights)
    assert device.adapter is not None
    gpu, listed = vulkan_device(device.adapter), _listed_by_ncnn()
    if gpu is None or device.adapter not in listed:  # ncnn would take another, or the CPU
        raise DeviceError(
            f"device={device} must be {device.adapter.name}, which was found before, got "
            f"{', '.join(each.name for each in listed) or 'no GPU'} from ncnn; "
            "check the driver and VK_DRIVER_FILES, or use device=cpu"
        )
    number = listed.index(device.adapter)
    return NcnnVulkanRuntime(weights, number=number, buffer_bytes=gpu.largest_buffer, precision=precision)


ROWS = (
    Backend(
        name="ncnn",
        package="ncnn",
        distributions=("ncnn",),
        devices={"cpu": ("fp32",), "gpu": ("fp32", "fp16")},
        extras={"cpu": "ncnn", "gpu": "ncnn"},
        load=package,
        make=_make,
        native_precisions=native_precisions,
        out_of_memory=("ncnn has no memory",),
        lacks=_lacks,
        adapters=adapters,
        # an AMD EPYC; a Xeon held down to AVX2 gave 1.2 times OpenVINO's speed at 2x, and the same at 4x
        speed={("avx2", "fp32"): 1.77},
    ),
)
