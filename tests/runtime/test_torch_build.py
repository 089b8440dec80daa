"""What torch was built for and whether it must be asked for GPUs, without loading it."""

from __future__ import annotations

import ctypes
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
import torch

from vscugan import install
from vscugan.engine import device_choice
from vscugan.runtime import torch_build
from vscugan.runtime.torch_build import TorchBuild, has_nvidia_driver, may_see

CPU = "__version__ = '2.9.1+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\nxpu: Optional[str] = None\n"
CUDA = CPU.replace("+cpu", "+cu128").replace("cuda: Optional[str] = None", "cuda: Optional[str] = '12.8'")
ROCM = CPU.replace("+cpu", "+rocm6.4").replace("hip: Optional[str] = None", "hip: Optional[str] = '6.4.43484'")
XPU = CPU.replace("+cpu", "+xpu").replace("xpu: Optional[str] = None", "xpu: Optional[str] = '20250301'")
OLD_XPU = "__version__ = '2.6.0+xpu'\ncuda = None\nhip = None\n"


class Machine:
    """One with this torch, which is not loaded yet, and with NVIDIA's driver or not."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch
        monkeypatch.delitem(sys.modules, "torch")
        monkeypatch.setattr(torch_build, "NVIDIA_FILES", (str(folder / "nvidia"),))

    def has(self, version: str | None, *, driver: bool = False, system: str = "linux") -> None:
        (self._folder / "version.py").write_text(version or "")
        spec = ModuleSpec("torch", None, origin=str(self._folder / "__init__.py")) if version is not None else None
        self._monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
        self._monkeypatch.setattr(sys, "platform", system)

        def library(name: str) -> object:
            assert name == ("nvcuda.dll" if system == "win32" else "libcuda.so.1")
            if not driver:
                raise OSError(f"{name}: cannot open shared object file")
            return object()

        self._monkeypatch.setattr(ctypes, "CDLL", library)

    def seen(self) -> set[str]:
        return {kind for kind in ("cuda", "xpu", "mps") if may_see(kind)}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_the_installed_build_is_what_torch_itself_says() -> None:
    build = torch_build.torch_build()
    assert build is not None
    assert (build.version, build.cuda) == (torch.__version__, torch.version.cuda)
    assert bool(build.rocm) == (torch.version.hip is not None)


@pytest.mark.parametrize(
    ("version", "driver", "system", "expected"),
    [
        (None, True, "linux", set()),
        (CPU, True, "linux", set()),
        (CPU, True, "win32", set()),
        (CPU, False, "darwin", {"mps"}),
        (CUDA, False, "linux", set()),
        (CUDA, True, "linux", {"cuda"}),
        (CUDA, True, "win32", {"cuda"}),
        (ROCM, False, "linux", {"cuda"}),  # torch calls AMD's GPUs so
        (XPU, False, "win32", {"xpu"}),
        (OLD_XPU, False, "linux", {"xpu"}),
        ("from somewhere import everything\n", False, "linux", {"cuda", "xpu", "mps"}),  # it must be asked
    ],
)
def test_torch_is_asked_where_its_build_may_see_a_gpu(
    version: str | None, driver: bool, system: str, expected: set[str], machine: Machine
) -> None:
    machine.has(version, driver=driver, system=system)
    assert machine.seen() == expected


def test_a_driver_whose_library_lies_elsewhere_counts(machine: Machine, tmp_path: Path) -> None:
    machine.has(CUDA)
    assert not has_nvidia_driver()
    (tmp_path / "nvidia").touch()
    assert machine.seen() == {"cuda"}


def test_a_torch_that_is_loaded_is_asked(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.has(CPU)
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert machine.seen() == {"cuda", "xpu", "mps"}


def test_devices_are_counted_without_loading_torch(machine: Machine) -> None:
    machine.has(CUDA)
    assert [device_choice.torch_count(kind) for kind in ("cpu", "cuda", "xpu", "mps")] == [1, 0, 0, 0]
    assert "torch" not in sys.modules


def test_a_folder_that_is_called_torch_is_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: ModuleSpec("torch", None))
    assert torch_build.torch_build() is None
    folder = ModuleType("torch")  # as Python imports it
    folder.__file__, folder.__path__ = None, ["site-packages/torch"]
    monkeypatch.setitem(sys.modules, "torch", folder)
    with pytest.raises(ModuleNotFoundError, match="no torch in site-packages/torch"):
        install.torch()
    assert [device_choice.torch_count(kind) for kind in ("cpu", "cuda", "xpu", "mps")] == [1, 0, 0, 0]


def test_a_torch_that_does_not_load_has_no_devices(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.has(ROCM)

    def broken(name: str) -> None:
        raise OSError("libamdhip64.so: bad")

    monkeypatch.setattr("importlib.import_module", broken)
    assert device_choice.torch_count("cuda") == 0


def test_builds_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert TorchBuild(version="2.9.1+cpu").what == "CPU"
    assert TorchBuild(version="2.9.1+cu128", cuda="12.8").what == "CUDA 12.8"
    assert TorchBuild(version="2.9.1+rocm6.4", rocm="6.4").what == "ROCm 6.4"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert TorchBuild(version="2.9.1").what == "CPU and MPS"
