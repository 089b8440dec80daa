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
from vscugan.runtime.device import CPU, Device
from vscugan.settings import validate

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "runtimes-and-precision.md"


@pytest.mark.parametrize(
    ("instructions", "order"),
    [("avx512", ["openvino", "onnxruntime", "torch"]), ("avx2", ["ncnn", "onnxruntime", "openvino", "torch"])],
)
def test_auto_takes_the_fastest_that_loads(
    instructions: str, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "instruction_set", lambda: instructions)
    on = f"on CPUs with {instructions.upper()}"
    for precision in ("bf16", "fp16"):
        assert pick_backend("auto", CPU, precision) == ("openvino", f"it is the fastest for {precision} {on}")
    assert pick_backend("auto", Device("cuda"), "fp16") == ("torch", None)
    broken, reasons = set[str](), list[str]()
    monkeypatch.setattr(backends, "_missing", lambda row, _: "two versions" if row.name in broken else None)
    for name in order:
        why = [*reasons, f"it is the fastest for fp32 {on}"] if name != "torch" else reasons
        assert pick_backend("auto", CPU, "fp32") == (name, "; ".join(why))
        notes: list[str] = []
        Engine(validate(device="cpu"), notify=notes.append)
        assert notes == [f"backend: {name}, because {'; '.join(why)}"]
        broken.add(name)
        reasons.append(f"{name} does not load (two versions)")


def test_a_backend_that_does_not_load_says_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_missing", lambda *_: "ImportError: two versions")
    with pytest.raises(DeviceError) as error:
        pick_backend("openvino", CPU, "fp32")
    assert str(error.value) == (
        "backend=openvino must be installed, got ImportError: two versions; "
        "run pip install openvino onnx, or use backend=auto"
    )


def test_the_fastest_runtime_is_installed_by_default_on_x86_64() -> None:
    default = [need for need in requires("vscugan") or [] if "extra ==" not in need]
    for package in ("ncnn", "openvino", "onnx"):  # the last writes OpenVINO's graphs
        (need,) = (need for need in default if need.startswith(f"{package}>"))
        assert "x86_64" in need
        assert "AMD64" in need


def test_without_the_optional_packages_torch_computes() -> None:
    code = """
import sys
for name in ("openvino", "onnxruntime", "onnx", "ncnn"):
    sys.modules[name] = None
import importlib.util
real = importlib.util.find_spec
absent = ("openvino", "onnxruntime", "ncnn")
importlib.util.find_spec = lambda name, *rest: None if name in absent else real(name, *rest)
from vscugan.engine.engine import Engine
from vscugan.settings import validate
from vscugan.runtime.device import CPU, Device
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
    table = PAGE.read_text(encoding="utf-8").partition("## What an extra brings\n")[2].partition("\n## ")[0]
    for extra in row.extras.values():
        assert f"| `{extra}` |" in table, f"add the extra {extra} to {PAGE.name}"
        needs = [need for need in requires("vscugan") or [] if need.endswith(f'extra == "{extra}"')]
        assert any(need.startswith(row.distributions) for need in needs), f"add the extra {extra} to pyproject.toml"
