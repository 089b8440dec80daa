"""The OpenVINO runtime: CPUs, and Intel GPUs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vscugan import install
from vscugan.errors import DeviceError
from vscugan.models.int8 import Quantisation, quantisation_of
from vscugan.models.weights import Weights
from vscugan.runtime.arrays import HostArrays
from vscugan.runtime.backends import Backend
from vscugan.runtime.device import Device
from vscugan.runtime.graph_runtime import GraphRuntime, NamedArrays, Session
from vscugan.runtime.workspace import Workspace

package = install.openvino
#: fp32 is asked for by name: left alone, OpenVINO takes bf16 on CPUs that have it, which is coarser.
#: What int8 leaves as it is may be that coarse, so there OpenVINO is left alone.
PRECISIONS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}


def device_name(device: Device) -> str:
    """OpenVINO's name of a device: xpu devices are its GPUs."""
    return "CPU" if device.kind == "cpu" else f"GPU.{device.index}"


def native_precisions(device: Device) -> tuple[str, ...]:
    """The precisions below fp32 that a device has instructions for, by OpenVINO's own account."""
    found = package().Core().get_property(device_name(device), "OPTIMIZATION_CAPABILITIES")
    return tuple(precision for precision in ("fp16", "bf16") if precision.upper() in found)


def adds_int8_exactly() -> bool:
    """Whether the CPU's sums of int8 products come out right: without VNNI or AMX, pairs are added in 16 bits."""
    openvino, opset = package(), importlib.import_module("openvino.opset13")
    channels, largest = 64, (255, 127)
    x = opset.parameter([1, channels, 8, 8], np.float32)
    levels = opset.fake_quantize(x, *(np.float32(v) for v in (0, largest[0], 0, largest[0])), 256)
    codes = opset.constant(np.full((channels, channels, 1, 1), largest[1], np.int8))
    weight = opset.multiply(opset.convert(codes, np.float32), np.ones((channels, 1, 1, 1), np.float32))
    y = opset.convolution(levels, weight, [1, 1], [0, 0], [0, 0], [1, 1])
    compiled = openvino.Core().compile_model(openvino.Model([y], [x]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    got = compiled(np.full((1, channels, 8, 8), largest[0], np.float32))[0]
    return bool((got == channels * largest[0] * largest[1]).all())


class OpenVinoRuntime(GraphRuntime):
    """Runs graphs on ``device``: OpenVINO's name, such as CPU or GPU.0. ``quantisation``: for precision int8."""

    name = "openvino"
    fixed_shapes = 4  # whole frames take 3 % less time, and only then do layouts pass from graph to graph
    arrays = HostArrays(channels_last=True)  # as its convolutions have it: no reordering between graphs

    def __init__(
        self, weights: Weights, *, device: str, precision: str, quantisation: Quantisation | None = None
    ) -> None:
        super().__init__(weights, quantisation)
        self._core = package().Core()
        if quantisation is not None and not adds_int8_exactly():
            raise DeviceError(
                "precision=int8 must have a CPU with VNNI or AMX, got one whose sums of int8 products overflow; "
                "use precision=fp32"
            )
        self._device = device
        self.returns_gates = precision == "fp32"  # else it takes 1.3 x as long, and rounds elsewhere
        self._options = {"PERFORMANCE_HINT": "LATENCY"}
        if precision in PRECISIONS:
            self._options["INFERENCE_PRECISION_HINT"] = PRECISIONS[precision]
        if device == "CPU":
            # pinned threads meet the host's on one core, and a frame takes twice its time
            self._options["ENABLE_CPU_PINNING"] = "NO"

    def load(self, model: bytes, outputs: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Session:
        """See ``GraphRuntime``."""
        graph = self._core.read_model(model)
        if shapes is not None:
            graph.reshape({name: list(shape) for name, shape in shapes.items()})
        compiled = self._core.compile_model(graph, self._device, self._options)
        arrays = self.arrays  # not self, which has this session
        fixed = {} if shapes is None else {name: tuple(compiled.output(name).shape) for name in outputs}

        def run(inputs: Mapping[str, NDArray[np.float32]], workspace: Workspace) -> NamedArrays:
            request = workspace.request(run, compiled.create_infer_request)
            written = {name: arrays.new_picture(shape, workspace) for name, shape in fixed.items()}
            for name, values in (*inputs.items(), *written.items()):
                request.set_tensor(name, package().Tensor(values, shared_memory=True))
            request.infer()
            for name in outputs:
                if name not in written:  # the request writes there again
                    values = request.get_tensor(name).data
                    written[name] = arrays.new_picture(values.shape, workspace)
                    np.copyto(written[name], values)
            return written

        return run


def _make(weights: Weights, device: Device, precision: str) -> OpenVinoRuntime:
    quantisation = quantisation_of(weights) if precision == "int8" else None
    return OpenVinoRuntime(weights, device=device_name(device), precision=precision, quantisation=quantisation)


ROWS = (
    Backend(
        name="openvino",
        package="openvino",
        distributions=("openvino",),
        devices={"cpu": ("fp32", "fp16", "bf16", "int8"), "xpu": ("fp32", "fp16", "bf16")},
        extras={"cpu": "openvino", "xpu": "openvino"},
        load=package,
        takes=("layers", "onnx"),
        make=_make,
        native_precisions=native_precisions,
        out_of_memory=("bad_alloc",),
        # fp16: no CPU with it was at hand; taken as its fp32
        speed={("cpu", "fp32"): 1.28, ("cpu", "bf16"): 4.82, ("cpu", "fp16"): 1.28},
    ),
)
