"""The GPUs that the system's Vulkan loader lists, and what runtimes do not say of them: driver, memory, limits."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from ctypes import c_char, c_char_p, c_uint8, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from vscugan.runtime.device import Adapter, numbered

VERSION_1_1 = 1 << 22 | 1 << 12
#: VkStructureType
APPLICATION, INSTANCE, MEMORY_2, PROPERTIES_2 = 0, 1, 1000059006, 1000059001
MAINTENANCE_3, DRIVER, BUDGET = 1000168000, 1000196000, 1000237000
FEATURES_2, FP16_IN_BUFFERS, FP16_IN_SHADERS = 1000059000, 1000083000, 1000082000
#: VkPhysicalDeviceType
INTEGRATED, DISCRETE, VIRTUAL, SOFTWARE = 1, 2, 3, 4
DEVICE_LOCAL = 1  #: of VkMemoryHeapFlagBits
#: The loader, by sys.platform; others have Linux's.
LIBRARIES = {"win32": ("vulkan-1.dll",), "darwin": ("libvulkan.1.dylib", "libMoltenVK.dylib")}
#: What macOS's loader wants to list GPUs with, as Metal has not all that Vulkan asks for.
PORTABILITY, ENUMERATE_PORTABILITY, INCOMPATIBLE_DRIVER = b"VK_KHR_portability_enumeration", 1, -9


@dataclass(frozen=True, kw_only=True)
class VulkanDevice:
    """A GPU by Vulkan's account.

    ``kind``: VkPhysicalDeviceType. ``largest_buffer``: bytes of one buffer that a shader may see.
    ``has_fp16``: whether shaders compute in it, and read it from buffers. ``vendor``: its maker's number in PCI.
    """

    adapter: Adapter
    kind: int
    largest_buffer: int
    has_fp16: bool = False
    vendor: int = 0


class _Application(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("next", c_void_p),
        ("name", c_void_p),
        ("version", c_uint32),
        ("engine", c_void_p),
        ("engine_version", c_uint32),
        ("api_version", c_uint32),
    )


class _Instance(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("next", c_void_p),
        ("flags", c_uint32),
        ("application", ctypes.POINTER(_Application)),
        ("layers", c_uint32),
        ("layer_names", c_void_p),
        ("extensions", c_uint32),
        ("extension_names", c_void_p),
    )


class _Driver(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("next", c_void_p),
        ("id", c_uint32),
        ("name", c_char * 256),
        ("info", c_char * 256),
        ("conformance", c_uint32),
    )


class _Maintenance3(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("next", c_void_p),
        ("descriptors", c_uint32),
        ("largest_allocation", c_uint64),
    )


class _Limits(ctypes.Structure):
    """VkPhysicalDeviceLimits up to what is read, and the size of the rest."""

    _fields_ = (
        ("images", c_uint32 * 7),
        ("largest_storage_buffer", c_uint32),
        ("rest", c_uint64 * 59),
    )


class _Properties2(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("next", c_void_p),
        ("api_version", c_uint32),
        ("driver_version", c_uint32),
        ("vendor", c_uint32),
        ("device", c_uint32),
        ("kind", c_uint32),
        ("name", c_char * 256),
        ("cache_uuid", c_uint8 * 16),
        ("limits", _Limits),
        ("sparse", c_uint32 * 5),
    )


class _Features2(ctypes.Structure):
    _fields_ = (("type", c_uint32), ("next", c_void_p), ("basic", c_uint32 * 55))


class _Fp16InBuffers(ctypes.Structure):
    _fields_ = (("type", c_uint32), ("next", c_void_p), ("storage", c_uint32), ("others", c_uint32 * 3))


class _Fp16InShaders(ctypes.Structure):
    _fields_ = (("type", c_uint32), ("next", c_void_p), ("fp16", c_uint32), ("int8", c_uint32))


class _MemoryType(ctypes.Structure):
    _fields_ = (("flags", c_uint32), ("heap", c_uint32))


class _Heap(ctypes.Structure):
    _fields_ = (("bytes", c_uint64), ("flags", c_uint32))


class _Memory2(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("next", c_void_p),
        ("types", c_uint32),
        ("type_rows", _MemoryType * 32),
        ("heaps", c_uint32),
        ("heap_rows", _Heap * 16),
    )


class _Budget(ctypes.Structure):
    """What this process may take of each heap, and what it has; all zero where the driver does not tell."""

    _fields_ = (
        ("type", c_uint32),
        ("next", c_void_p),
        ("budget", c_uint64 * 16),
        ("usage", c_uint64 * 16),
    )


@cache
def vulkan_devices() -> tuple[VulkanDevice, ...]:
    """The GPUs in the loader's order, software ones among them; none where there is no loader, or no driver.

    They are listed once, as that takes a tenth of a second: what is free of their memory was so then.
    """
    return tuple(_listed())


def vulkan_device(adapter: Adapter | None) -> VulkanDevice | None:
    """The GPU of an adapter, None where Vulkan does not list it."""
    return next((device for device in vulkan_devices() if device.adapter == adapter), None)


def free_memory(adapter: Adapter) -> int | None:
    """The bytes that are free of a GPU's own memory now; None where Vulkan does not list it, or it is in software."""
    return next((device.adapter.memory_bytes for device in _listed() if device.adapter == adapter), None)


def _listed() -> list[VulkanDevice]:
    """The GPUs as they are now, of all loaders or drivers the first that is installed."""
    for name in LIBRARIES.get(sys.platform, ("libvulkan.so.1",)):
        with suppress(OSError, AttributeError):  # there is none, or it is older than Vulkan 1.1
            return _listed_by(ctypes.CDLL(name))
    return []


def _listed_by(library: Any) -> list[VulkanDevice]:
    application = _Application(type=APPLICATION, api_version=VERSION_1_1)
    wanted = _Instance(type=INSTANCE, application=ctypes.pointer(application))
    instance = c_void_p()
    error = library.vkCreateInstance(ctypes.byref(wanted), None, ctypes.byref(instance))
    if error == INCOMPATIBLE_DRIVER and sys.platform == "darwin":
        names = (c_char_p * 1)(PORTABILITY)
        wanted.flags, wanted.extensions, wanted.extension_names = ENUMERATE_PORTABILITY, 1, ctypes.addressof(names)
        error = library.vkCreateInstance(ctypes.byref(wanted), None, ctypes.byref(instance))
    if error:
        return []
    try:
        count = c_uint32()
        library.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
        handles = (c_void_p * count.value)()
        library.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), handles)
        found = [_described(library, c_void_p(handle)) for handle in handles[: count.value]]
    finally:
        library.vkDestroyInstance(instance, None)
    adapters = numbered(device.adapter for device in found)
    return [replace(device, adapter=adapter) for adapter, device in zip(adapters, found, strict=True)]


def _described(library: Any, device: c_void_p) -> VulkanDevice:
    driver = _Driver(type=DRIVER)
    sizes = _Maintenance3(type=MAINTENANCE_3, next=ctypes.addressof(driver))
    found = _Properties2(type=PROPERTIES_2, next=ctypes.addressof(sizes))
    library.vkGetPhysicalDeviceProperties2(device, ctypes.byref(found))
    is_software = found.kind == SOFTWARE
    adapter = Adapter(
        name=found.name.decode(errors="replace"),
        driver=b" ".join(text for text in (driver.name, driver.info) if text).decode(errors="replace"),
        memory_bytes=None if is_software else _free_bytes(library, device),
        is_integrated=found.kind == INTEGRATED,
        is_software=is_software,
    )
    largest = found.limits.largest_storage_buffer
    return VulkanDevice(
        adapter=adapter,
        kind=found.kind,
        largest_buffer=min(largest, sizes.largest_allocation or largest),
        has_fp16=_has_fp16(library, device),
        vendor=found.vendor,
    )


def _has_fp16(library: Any, device: c_void_p) -> bool:
    in_shaders = _Fp16InShaders(type=FP16_IN_SHADERS)
    in_buffers = _Fp16InBuffers(type=FP16_IN_BUFFERS, next=ctypes.addressof(in_shaders))
    features = _Features2(type=FEATURES_2, next=ctypes.addressof(in_buffers))
    library.vkGetPhysicalDeviceFeatures2(device, ctypes.byref(features))
    return bool(in_buffers.storage and in_shaders.fp16)


def _free_bytes(library: Any, device: c_void_p) -> int:
    """What is free of the GPU's own memory; all of it where the driver does not tell."""
    budget = _Budget(type=BUDGET)
    memory = _Memory2(type=MEMORY_2, next=ctypes.addressof(budget))
    library.vkGetPhysicalDeviceMemoryProperties2(device, ctypes.byref(memory))
    heaps = zip(memory.heap_rows[: memory.heaps], budget.budget, budget.usage, strict=False)
    return sum(max(0, free - used) if free else heap.bytes for heap, free, used in heaps if heap.flags & DEVICE_LOCAL)
