"""WebGPU by ONNX Runtime's plugin, with a stand-in for both: which GPU is taken, and what is refused."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vscugan.engine import device_choice
from vscugan.engine.device_choice import pick_device
from vscugan.errors import DeviceError
from vscugan.models.registry import find
from vscugan.models.weights import Weights, load_released
from vscugan.runtime import webgpu_runtime
from vscugan.runtime.backends import backend_row, pick_backend
from vscugan.runtime.device import CPU, Adapter, Device
from vscugan.runtime.vulkan import DISCRETE, INTEGRATED, SOFTWARE, VulkanDevice
from vscugan.runtime.webgpu_runtime import PROVIDER, WebGpuRuntime, adapters
from vscugan.runtime.workspace import Workspace

CARD = Adapter(name="Card 9000", driver="radv Mesa 25.0.7", memory_bytes=8 << 30)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DeviceError) as error:
        call()
    return str(error.value)


class Plugin:
    """onnxruntime with the plugin. ``devices``: kind, Discrete and Description of what it lists."""

    def __init__(self, *devices: tuple[str, str, str]) -> None:
        self.provider, self.error, self.at_work, self.most_at_work = PROVIDER, "", 0, 0
        self.given: list[str] = []  # the devices of the last session
        self.devices = [
            SimpleNamespace(
                ep_name=PROVIDER,
                device=SimpleNamespace(
                    metadata={"Discrete": discrete, "Description": name} if name else {},
                    type=SimpleNamespace(name=kind),
                    vendor="AMD",
                    device_id=0x744C,
                ),
            )
            for kind, discrete, name in devices
        ]

    def get_ep_devices(self) -> list[Any]:
        return [SimpleNamespace(ep_name="CPUExecutionProvider"), *self.devices]

    def SessionOptions(self) -> Any:
        ignore = lambda *_: None  # noqa: E731
        return SimpleNamespace(add_session_config_entry=ignore, add_provider_for_devices=self._give)

    def _give(self, devices: list[Any], _: dict[str, str]) -> None:
        self.given = [each.device.metadata["Description"] for each in devices]

    def InferenceSession(self, model: bytes, options: Any) -> Any:
        if self.error:
            raise RuntimeError(self.error)
        return SimpleNamespace(get_providers=lambda: [self.provider, "CPUExecutionProvider"], run=self.run)

    def run(self, outputs: list[str], inputs: dict[str, Any]) -> list[Any]:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        time.sleep(0.005)
        self.at_work -= 1
        return [np.zeros(1, np.float32) for _ in outputs]


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """One discrete card, that Vulkan lists after the integrated one."""
    plugin = Plugin(("GPU", "1", "Card 9000"))
    listed = [
        VulkanDevice(adapter=Adapter(name="llvmpipe", is_software=True), kind=SOFTWARE, largest_buffer=128 << 20),
        VulkanDevice(adapter=Adapter(name="Integrated"), kind=INTEGRATED, largest_buffer=1 << 30),
        VulkanDevice(adapter=CARD, kind=DISCRETE, largest_buffer=(4 << 30) - 1),
        VulkanDevice(adapter=Adapter(name="Card 9000", nth=1), kind=DISCRETE, largest_buffer=1),
    ]
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(webgpu_runtime, "package", lambda: plugin)
    monkeypatch.setattr(webgpu_runtime, "vulkan_devices", lambda: tuple(listed))
    webgpu_runtime._first_session.cache_clear()
    yield plugin
    webgpu_runtime._first_session.cache_clear()


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_released(find(model="se", scale=2, noise="no-denoise"))


def test_on_linux_the_adapter_is_vulkans_first_discrete_one(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = adapters()
    assert (found, found.driver, found.memory_bytes) == (CARD, CARD.driver, CARD.memory_bytes)
    plugin.devices = []
    assert adapters() == []  # the plugin lists none, as in a container without /sys
    monkeypatch.setattr(webgpu_runtime, "vulkan_devices", tuple)
    assert adapters() == []


def test_elsewhere_the_adapter_is_what_the_plugin_says(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    plugin.devices = Plugin(("GPU", "0", "Graphics"), ("GPU", "1", "Card 9000"), ("GPU", "1", "Other")).devices
    assert adapters() == [Adapter(name="Card 9000")]
    assert plugin.given == ["Card 9000"]
    plugin.devices = Plugin(("GPU", "", "")).devices
    assert adapters() == [Adapter(name="AMD 0x744c")]
    plugin.devices = Plugin(("CPU", "", "")).devices
    assert [adapter.is_software for adapter in adapters()] == [True]


def test_a_gpu_in_software_needs_a_word_and_without_it_no_plugin_is_loaded(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    (software, *_) = webgpu_runtime.vulkan_devices()
    monkeypatch.setattr(webgpu_runtime, "vulkan_devices", lambda: (software,))
    monkeypatch.setenv("ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER", "1")
    assert adapters() == [software.adapter]
    monkeypatch.delenv("ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER")
    monkeypatch.setattr(webgpu_runtime, "package", lambda: pytest.fail("it was imported"))
    assert adapters() == []


def test_a_plugin_that_does_not_load_has_no_adapters(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("no onnxruntime_ep_webgpu")

    monkeypatch.setattr(webgpu_runtime, "package", broken)
    assert adapters() == []


@pytest.mark.usefixtures("plugin")
def test_only_the_adapter_that_is_taken_can_be_named() -> None:
    assert pick_backend("webgpu", Device("gpu", 0, CARD), "fp32") == ("webgpu", None)
    second = Device("gpu", 1, Adapter(name="Card 9000", nth=1))
    assert refusal(lambda: pick_backend("webgpu", second, "fp32")).startswith(
        "backend=webgpu must be installed, got a WebGPU without Card 9000; run pip install "
    )


def test_buffers_are_those_of_the_adapter(plugin: Plugin, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    assert WebGpuRuntime(weights, CARD).largest_buffer == (4 << 30) - 1
    monkeypatch.setattr(sys, "platform", "win32")
    assert WebGpuRuntime(weights, CARD).largest_buffer == 128 << 20


def test_a_gpu_that_is_refused_is_named(plugin: Plugin, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_choice, "backend_rows", lambda: [backend_row("torch"), backend_row("webgpu")])
    monkeypatch.setattr(device_choice, "torch_count", lambda kind: int(kind == "cpu"))
    error = "EP_FAIL : webgpu_context.cc:136 status == Success was false. Failed to get an adapter:\n none\n\n"
    for provider, raised, why in (
        ("CPUExecutionProvider", "", "it would compute by CPUExecutionProvider"),
        (PROVIDER, error, "Failed to get an adapter: none"),
    ):
        plugin.provider, plugin.error = provider, raised
        webgpu_runtime._first_session.cache_clear()
        assert [adapter.refusal for adapter in adapters()] == [why]
        assert refusal(lambda: pick_device("gpu:0", "webgpu")) == (
            f"device=gpu:0 must be a GPU that backend=webgpu reaches, got gpu:0 Card 9000 (refused by webgpu: {why}); "
            "use backend=auto, or install the GPU's driver and see vscugan doctor"
        )
        assert pick_device("auto", "auto") == CPU
        assert refusal(lambda: pick_backend("webgpu", Device("gpu", 0, CARD), "fp32")).startswith(
            f"backend=webgpu must be installed, got a WebGPU that refuses Card 9000: {why}; run pip install "
        )
        assert refusal(lambda: WebGpuRuntime(weights, CARD).load(b"", [], None)) == (
            f"backend=webgpu must have a GPU that WebGPU takes, got Card 9000 ({why}); "
            "update its driver (Mesa: 24 or newer), or use another backend or device=cpu"
        )


def test_sessions_work_and_end_one_at_a_time(plugin: Plugin, weights: Weights) -> None:
    runs = [WebGpuRuntime(weights, CARD).load(b"", ["output"], None) for _ in range(4)]
    workspace = Workspace()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            list(pool.map(lambda run: run({}, workspace), runs))
    assert plugin.most_at_work == 1
    with webgpu_runtime._lock:
        thread = threading.Thread(target=runs.clear)
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()  # waits for the session at work
    thread.join()
