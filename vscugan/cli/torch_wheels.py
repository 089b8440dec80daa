"""Which build of torch fits the graphics cards of this machine, and the command that installs it."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

from vscugan.engine.device_choice import torch_count
from vscugan.runtime.device import Adapter, nvidia_driver
from vscugan.runtime.torch_build import TorchBuild
from vscugan.runtime.vulkan import vulkan_devices

#: PyTorch's own indexes, a folder for each build: https://pytorch.org/get-started/locally has the newest folders.
WHEELS = "https://download.pytorch.org/whl"


@dataclass(frozen=True, kw_only=True, eq=False)
class Maker:
    """Who makes graphics cards: its number in Vulkan, and torch's builds for them.

    ``build``: the field of ``TorchBuild`` that says so; ``kind``: torch's devices; ``wheels``: the folder of the
    wheels by ``sys.platform``, on x86-64; ``older``: which cards need another folder, in words.
    """

    name: str
    vendor: int
    build: str
    kind: str
    wheels: dict[str, str]
    older: str = ""


MAKERS = (
    Maker(
        name="NVIDIA",
        vendor=0x10DE,
        build="cuda",
        kind="cuda",
        wheels={"linux": "cu130", "win32": "cu130"},
        older=" (with cu126 in its place for a GTX 10 or older, or a driver before 580)",
    ),
    Maker(name="AMD", vendor=0x1002, build="rocm", kind="cuda", wheels={"linux": "rocm7.2"}),
    Maker(name="Intel", vendor=0x8086, build="xpu", kind="xpu", wheels={"linux": "xpu", "win32": "xpu"}),
)


def cards() -> list[tuple[Maker, Adapter]]:
    """The graphics cards that Vulkan lists, or NVIDIA's driver where that is all there is; no GPUs of a CPU's chip."""
    makers = {maker.vendor: maker for maker in MAKERS}
    listed = [(makers.get(device.vendor), device.adapter) for device in vulkan_devices()]
    found = [(m, card) for m, card in listed if m and not (card.is_integrated or card.is_software)]
    nvidia = MAKERS[0]
    if nvidia not in (maker for maker, _ in found) and (driver := nvidia_driver()):
        found.append((nvidia, Adapter(name="an NVIDIA GPU", driver=driver)))
    return found


def advice(build: TorchBuild | None) -> str:
    """What would make torch use the cards that it does not use, in one line; empty where it uses all, or can't any.

    ``build``: the one that is installed.
    """
    found = dict(cards())
    return "; ".join(text for maker, card in found.items() if (text := _for_card(maker, card, build)))


def _for_card(maker: Maker, card: Adapter, build: TorchBuild | None) -> str:
    if build is not None and getattr(build, maker.build):
        if torch_count(maker.kind):
            return ""
        return f"it is built for {card.name} and does not find it: update the driver of {maker.name}"
    folder = maker.wheels.get(sys.platform)
    if folder is None or platform.machine() not in ("x86_64", "AMD64"):
        return ""
    return f"for {card.name} run pip install --force-reinstall torch --index-url {WHEELS}/{folder}{maker.older}"
