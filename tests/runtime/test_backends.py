"""Which runtime is taken, and what is said about it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

from vscugan import settings
from vscugan.engine.engine import Engine
from vscugan.errors import DeviceError
from vscugan.runtime import backends
from vscugan.runtime.backends import pick_backend
from vscugan.runtime.device import CPU, Device, instruction_set
from vscugan.settings import validate


def test_auto_takes_the_fastest_that_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    on = f"on CPUs with {instruction_set().upper()}"
    for precision in ("fp32", "bf16", "fp16"):
        assert pick_backend("auto", CPU, precision) == ("openvino", f"it is the fastest for {precision} {on}")
    assert pick_backend("auto", Device("cuda"), "fp16") == ("torch", None)
    broken = "ImportError: two versions"
    monkeypatch.setattr(backends, "_missing", lambda b, _: broken if b.package == "openvino" else None)
    assert pick_backend("auto", CPU, "fp32") == (
        "onnxruntime",
        f"openvino does not load ({broken}); it is the fastest for fp32 {on}",
    )
    notes: list[str] = []
    Engine(validate(), notify=notes.append)
    because = f"openvino does not load ({broken}); it is the fastest for fp32 {on}"
    assert notes == [f"backend: onnxruntime, because {because}"]
    with pytest.raises(DeviceError) as error:
        pick_backend("openvino", CPU, "fp32")
    assert str(error.value) == (
        "backend=openvino must be installed, got ImportError: two versions; "
        "run pip install openvino onnx, or use backend=auto"
    )


def test_the_fastest_runtime_is_installed_by_default_on_x86_64() -> None:
    default = [need for need in requires("vscugan") or [] if "extra ==" not in need]
    for package in ("openvino", "onnx"):  # the second writes the graphs of the first
        (need,) = (need for need in default if need.startswith(f"{package}>"))
        assert "x86_64" in need
        assert "AMD64" in need


def test_without_the_optional_packages_torch_computes() -> None:
    code = """
import sys
for name in ("openvino", "onnxruntime", "onnx"):
    sys.modules[name] = None
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("openvino", "onnxruntime") else real(name, *rest)
from vscugan.engine.engine import Engine
from vscugan.settings import validate
from vscugan.runtime.device import CPU, Device, instruction_set
notes = []
print(Engine(validate(), notify=notes.append).passes[0].runtime.name, notes)
"""
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "torch []\n"


@pytest.mark.parametrize("name", backends.BACKENDS)
def test_a_backends_row_agrees_with_what_users_read(name: str) -> None:
    row = backends.backend_row(name)
    assert row.name == name
    assert name in settings.backend_names()
    assert set(row.devices) <= set(settings.DEVICES)
    assert set(row.precisions) <= set(settings.OPTIONS["precision"].names)
    assert set(row.extras) <= set(row.devices)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("## Runtimes") : readme.index("## Precision")]
    for extra in row.extras.values():
        assert f'".[{extra}]"' in table, f"add the extra {extra} to README.md"
        needs = [need for need in requires("vscugan") or [] if need.endswith(f'extra == "{extra}"')]
        assert any(need.startswith(row.distributions) for need in needs), f"add the extra {extra} to pyproject.toml"
