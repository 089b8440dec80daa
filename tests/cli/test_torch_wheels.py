"""Which build of torch is advised for which graphics card."""

from __future__ import annotations

import platform
import sys
from typing import Any

import pytest

from vscugan.cli import torch_wheels
from vscugan.cli.torch_wheels import advice
from vscugan.runtime.device import Adapter
from vscugan.runtime.torch_build import TorchBuild
from vscugan.runtime.vulkan import DISCRETE, VulkanDevice

CPU, CUDA = TorchBuild(version="2.9.1+cpu"), TorchBuild(version="2.14.1+cu130", cuda="13.0")
ROCM, XPU = TorchBuild(version="2.9.1+rocm6.4", rocm="6.4"), TorchBuild(version="2.9.1+xpu", xpu="20250301")
OTHER = " (with cu126 in its place for a GTX 10 or older, or a driver before 580)"


def card(name: str, vendor: int, **of_adapter: Any) -> VulkanDevice:
    return VulkanDevice(adapter=Adapter(name=name, **of_adapter), kind=DISCRETE, largest_buffer=1, vendor=vendor)


RTX, RADEON, ARC = card("RTX 4090", 0x10DE), card("Radeon RX 7900", 0x1002), card("Arc B580", 0x8086)


def command(name: str, folder: str) -> str:
    index = f"https://download.pytorch.org/whl/{folder}"
    return f"for {name} run pip install --force-reinstall torch --index-url {index}"


@pytest.mark.parametrize(
    ("devices", "build", "system", "expected"),
    [
        ([RTX], CPU, "win32", command("RTX 4090", "cu130") + OTHER),
        ([RTX], None, "linux", command("RTX 4090", "cu130") + OTHER),
        ([RTX], XPU, "linux", command("RTX 4090", "cu130") + OTHER),
        ([RADEON], CUDA, "linux", command("Radeon RX 7900", "rocm7.2")),
        ([RADEON], CPU, "win32", ""),  # PyTorch has no wheels for it
        ([ARC], CPU, "win32", command("Arc B580", "xpu")),
        ([ARC, RADEON], CPU, "linux", f"{command('Arc B580', 'xpu')}; {command('Radeon RX 7900', 'rocm7.2')}"),
        ([RTX, RTX], CPU, "linux", command("RTX 4090", "cu130") + OTHER),  # once
        ([card("UHD 770", 0x8086, is_integrated=True), card("llvmpipe", 0x10005, is_software=True)], CPU, "linux", ""),
        ([card("Apple M4", 0x106B)], CPU, "darwin", ""),
        ([], CPU, "linux", ""),
    ],
)
def test_a_card_that_the_build_does_not_use(
    devices: list[VulkanDevice], build: TorchBuild | None, system: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_wheels, "vulkan_devices", lambda: tuple(devices))
    monkeypatch.setattr(torch_wheels, "nvidia_driver", lambda: "")
    monkeypatch.setattr(torch_wheels, "torch_count", lambda kind: 0)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: "AMD64" if system == "win32" else "x86_64")
    assert advice(build) == expected


@pytest.mark.parametrize(("device", "build"), [(RTX, CUDA), (RADEON, ROCM), (ARC, XPU)])
def test_a_card_that_the_build_is_for(
    device: VulkanDevice, build: TorchBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_wheels, "vulkan_devices", lambda: (device,))
    monkeypatch.setattr(torch_wheels, "nvidia_driver", lambda: "")
    monkeypatch.setattr(torch_wheels, "torch_count", lambda kind: 1)
    assert advice(build) == ""
    monkeypatch.setattr(torch_wheels, "torch_count", lambda kind: 0)
    maker = next(m.name for m in torch_wheels.MAKERS if m.vendor == device.vendor)
    name = device.adapter.name
    assert advice(build) == f"it is built for {name} and does not find it: update the driver of {maker}"


def test_nvidias_driver_is_enough_to_know_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_wheels, "vulkan_devices", lambda: ())
    monkeypatch.setattr(torch_wheels, "nvidia_driver", lambda: "590.44.01")
    assert [(maker.name, adapter.name) for maker, adapter in torch_wheels.cards()] == [("NVIDIA", "an NVIDIA GPU")]


def test_other_processors_have_other_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_wheels, "vulkan_devices", lambda: (RTX,))
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert advice(CPU) == ""
