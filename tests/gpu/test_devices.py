"""Which GPU computes: the one that was named or an error, in tiles that its buffers can hold."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from support.gpu_runtime import GpuRuntime

from vscugan.engine.device_choice import gpus, pick_device
from vscugan.errors import DeviceError
from vscugan.models.registry import find
from vscugan.models.weights import load_released
from vscugan.runtime.backends import backend_row, pick_backend
from vscugan.runtime.device import Adapter, Device
from vscugan.tiling.tile_plan import widest_map_bytes


def test_a_gpu_in_software_is_never_taken_unasked(gpu: GpuRuntime) -> None:
    if all(each.adapter.is_software for each in gpus()):
        assert pick_device("auto").kind == "cpu"
        if "cpu" in backend_row(gpu.backend).devices:
            assert pick_device("auto", gpu.backend).kind == "cpu"
        else:
            with pytest.raises(DeviceError):
                pick_device("auto", gpu.backend)
    named = pick_device(gpu.device, gpu.backend)
    assert (named.kind, named.adapter, named.tensors) == ("gpu", gpu.adapter, torch.device("cpu"))


def test_an_adapter_that_is_hidden_is_named(gpu: GpuRuntime) -> None:
    hidden = Device("gpu", 0, Adapter(name="Card that was there"))
    weights = load_released(find(model="se", scale=2, noise="no-denoise"))
    with pytest.raises(DeviceError) as error:
        backend_row(pick_backend(gpu.backend, hidden, "fp32")[0]).make(weights, hidden, "fp32")
    assert "Card that was there" in str(error.value)
    with pytest.raises(DeviceError) as error:
        pick_device("gpu:99", gpu.backend)
    assert gpu.adapter.name in str(error.value)


#: Hides the GPU between Vulkan's list and its use.
HIDDEN = """
import os, sys
from vscugan.engine.device_choice import pick_device
from vscugan.runtime import webgpu_runtime
listed = webgpu_runtime.vulkan_devices()
webgpu_runtime.vulkan_devices = lambda: listed
os.environ["VK_DRIVER_FILES"] = os.environ["VK_ICD_FILENAMES"] = os.devnull
pick_device(sys.argv[1], "webgpu")
"""


def test_webgpu_never_goes_on_with_the_cpu(gpu: GpuRuntime) -> None:
    if gpu.backend != "webgpu":
        pytest.skip("only ONNX Runtime would")
    command = [sys.executable, "-P", "-c", HIDDEN, gpu.device]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith(f"vscugan.errors.DeviceError: device={gpu.device} must be a GPU that backend=webgpu reaches")
    assert f"{gpu.adapter.name} (" in last
    assert "refused by webgpu: Failed to get a WebGPU adapter" in last


def test_tiles_fit_into_the_buffers_of_the_gpu(gpu: GpuRuntime) -> None:
    network = gpu.engine().passes[0]
    runtime = network.runtime
    assert runtime.largest_buffer is not None
    plan = network.planner.plan_for(1080, 1920)
    assert widest_map_bytes(runtime.architecture, 1080, 1920, plan, 4) <= runtime.largest_buffer
