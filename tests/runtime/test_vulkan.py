"""The GPUs that Vulkan's loader lists, read from a loader that stands in."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from vscugan.runtime import vulkan
from vscugan.runtime.device import Adapter

GIB = 1 << 30


class Loader:
    """Two graphics cards that are alike, and a CPU that plays one; the second card's driver tells its budget."""

    instances = 0
    used = GIB  # of the second card
    extension = b""  # that it wants

    def vkCreateInstance(self, wanted: Any, _: None, instance: Any) -> int:
        assert wanted._obj.application[0].api_version == 4198400
        if self.extension:
            if wanted._obj.extensions == 0:
                return -9
            assert wanted._obj.flags == 1
            assert ctypes.cast(wanted._obj.extension_names, ctypes.POINTER(ctypes.c_char_p))[0] == self.extension
        self.instances += 1
        return 0

    def vkDestroyInstance(self, *_: Any) -> None:
        self.instances -= 1

    def vkEnumeratePhysicalDevices(self, _: Any, count: Any, handles: Any) -> int:
        count._obj.value = 3
        if handles is not None:
            handles[:] = (1, 2, 3)
        return 0

    def vkGetPhysicalDeviceProperties2(self, device: Any, properties: Any) -> None:
        found = properties._obj
        found.kind, found.name = (4, b"llvmpipe") if device.value == 3 else (2, b"Card 9000")
        found.limits.largest_storage_buffer = 4 * GIB - 1
        sizes = ctypes.cast(found.next, ctypes.POINTER(vulkan._Maintenance3))[0]
        sizes.largest_allocation = 2 * GIB if device.value == 2 else 0
        driver = ctypes.cast(sizes.next, ctypes.POINTER(vulkan._Driver))[0]
        if device.value != 1:  # one older than Vulkan 1.2 does not tell
            driver.name, driver.info = b"radv", b"Mesa 25.0.7"

    def vkGetPhysicalDeviceFeatures2(self, device: Any, features: Any) -> None:
        in_buffers = ctypes.cast(features._obj.next, ctypes.POINTER(vulkan._Fp16InBuffers))[0]
        in_buffers.storage = 1
        if device.value == 2:
            ctypes.cast(in_buffers.next, ctypes.POINTER(vulkan._Fp16InShaders))[0].fp16 = 1

    def vkGetPhysicalDeviceMemoryProperties2(self, device: Any, properties: Any) -> None:
        memory = properties._obj
        memory.heaps = 2
        memory.heap_rows[0].bytes, memory.heap_rows[0].flags = 8 * GIB, 1
        memory.heap_rows[1].bytes = 32 * GIB  # the host's
        if device.value == 2:
            budget = ctypes.cast(memory.next, ctypes.POINTER(vulkan._Budget))[0]
            budget.budget[0], budget.usage[0] = 7 * GIB, self.used


@pytest.fixture(autouse=True)
def _listed_anew() -> Iterator[None]:
    vulkan.vulkan_devices.cache_clear()
    yield
    vulkan.vulkan_devices.cache_clear()


def test_devices_have_name_driver_memory_and_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Loader()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: loader)
    devices = vulkan.vulkan_devices()
    assert loader.instances == 0
    assert [device.adapter for device in devices] == [
        Adapter(name="Card 9000", nth=0),
        Adapter(name="Card 9000", nth=1),
        Adapter(name="llvmpipe", nth=0),
    ]
    shown = [(d.adapter.driver, d.adapter.memory_bytes, d.adapter.is_software, d.largest_buffer) for d in devices]
    assert shown == [
        ("", 8 * GIB, False, 4 * GIB - 1),
        ("radv Mesa 25.0.7", 6 * GIB, False, 2 * GIB),
        ("radv Mesa 25.0.7", None, True, 4 * GIB - 1),
    ]
    assert [device.has_fp16 for device in devices] == [False, True, False]


def test_free_memory_is_what_is_free_now(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Loader()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: loader)
    second, software = vulkan.vulkan_devices()[1:]
    assert vulkan.free_memory(second.adapter) == 6 * GIB
    loader.used = 4 * GIB
    assert vulkan.free_memory(second.adapter) == 3 * GIB
    assert vulkan.free_memory(software.adapter) is vulkan.free_memory(Adapter(name="Card 9000", nth=2)) is None
    assert loader.instances == 0


def test_macs_have_a_loader_or_molten_vk_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loader, opened = Loader(), []

    def library(name: str) -> Loader:
        opened.append(name)
        if name != "libMoltenVK.dylib":
            raise OSError(name)
        return loader

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert len(vulkan.vulkan_devices()) == 3
    assert opened == ["libvulkan.1.dylib", "libMoltenVK.dylib"]
    vulkan.vulkan_devices.cache_clear()
    loader.extension = b"VK_KHR_portability_enumeration"
    assert len(vulkan.vulkan_devices()) == 3


def test_structures_are_as_large_as_vulkans() -> None:
    sizes = [ctypes.sizeof(each) for each in (vulkan._Limits, vulkan._Properties2, vulkan._Memory2, vulkan._Budget)]
    assert sizes == [504, 840, 536, 272]
    features = [ctypes.sizeof(each) for each in (vulkan._Features2, vulkan._Fp16InBuffers, vulkan._Fp16InShaders)]
    assert features == [240, 32, 24]


def test_no_loader_or_no_driver_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(name)

    class Bare:
        vkCreateInstance = staticmethod(lambda *_: -9)  # VK_ERROR_INCOMPATIBLE_DRIVER

    for load in (absent, lambda name: object(), lambda name: Bare()):
        vulkan.vulkan_devices.cache_clear()
        monkeypatch.setattr(ctypes, "CDLL", load)
        assert vulkan.vulkan_devices() == ()
