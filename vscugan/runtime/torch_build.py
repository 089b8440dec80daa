"""What the installed torch was built for, and whether it may see a GPU, without loading it for seconds."""

from __future__ import annotations

import ast
import ctypes
import importlib.util
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vscugan.install import version

#: Where Linux shows that it has NVIDIA's driver, or WSL's, wherever the library lies.
NVIDIA_FILES = ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/dxg")


@dataclass(frozen=True, kw_only=True)
class TorchBuild:
    """The versions of what a build of torch computes by, None where it does not."""

    version: str
    cuda: str | None = None
    rocm: str | None = None
    xpu: str | None = None

    @property
    def what(self) -> str:
        """What it is for, in words."""
        builds = {"CUDA": self.cuda, "ROCm": self.rocm, "XPU": self.xpu}
        found = [f"{name} {number}" for name, number in builds.items() if number]
        return " and ".join(found) or ("CPU and MPS" if sys.platform == "darwin" else "CPU")


def torch_build() -> TorchBuild | None:
    """The build of the installed torch, None where none is installed.

    Raises: ValueError where what is installed does not say.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:  # the latter for a mere folder of that name
        return None
    says = _constants(Path(spec.origin).with_name("version.py"))
    number = str(says.get("__version__") or version("torch") or "")
    xpu = says.get("xpu") or (number.partition("+xpu")[1] and "unknown")  # before 2.7 only the version says
    return TorchBuild(version=number, cuda=says["cuda"], rocm=says.get("rocm") or says["hip"], xpu=xpu or None)


def _constants(path: Path) -> dict[str, Any]:
    """The constants that a file of Python sets; ValueError where they are not torch's."""
    found = {}
    with suppress(OSError, SyntaxError):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                found[ast.unparse(target)] = node.value.value
    if not {"cuda", "hip"} <= found.keys():
        raise ValueError(f"{path} does not say what torch was built for")
    return found


def has_nvidia_driver() -> bool:
    """Whether NVIDIA's driver is installed, without which CUDA finds no GPU."""
    with suppress(OSError):
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        return True
    return any(Path(name).exists() for name in NVIDIA_FILES)


def may_see(kind: str) -> bool:
    """Whether torch may find devices of a kind of its GPUs; only where this is true must it be loaded and asked."""
    if sys.modules.get("torch") is not None:
        return True  # it is loaded anyway
    try:
        build = torch_build()
    except Exception:  # what is installed does not say, or is broken
        return True
    if build is None:
        return False
    if kind == "mps":
        return sys.platform == "darwin"
    if kind == "xpu":
        return build.xpu is not None
    return build.rocm is not None or (build.cuda is not None and has_nvidia_driver())
