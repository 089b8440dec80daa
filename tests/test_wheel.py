"""The wheel, installed where there is no compiler, and an editable installation: both bring the plugin."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest
import vapoursynth as vs

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_serves_every_python_and_holds_the_plugin(wheel: Path) -> None:
    assert "-py3-none-" in wheel.name
    with ZipFile(wheel) as file:
        names = set(file.namelist())
    weights = {f"vscugan/weights/{name}" for name in ("manifest.json", "fast.safetensors")}
    assert {"vscugan/py.typed", "vscugan/plugin.pyi", *weights} <= names
    assert [Path(name).stem for name in names if name.startswith("vapoursynth/")] == ["vscugan"]


USE = """
import vapoursynth as vs, vscugan
print(vscugan.__file__)
print(vs.core.cugan.plugin_path)
frame = vs.core.std.BlankClip(format=vs.RGBS, width=64, height=48, length=1, color=[0.2, 0.4, 0.6]).cugan.Upscale()
print(frame.width, frame.height, round(float(sum(map(sum, frame.get_frame(0)[2].tolist()))) / (128 * 96), 2))
"""


def test_a_new_environment_without_a_compiler_uses_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """VapourSynth is copied, as it loads plugins from its own folder; other packages are those of the tests."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    (site / "others.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")  # pip must not see their vscugan
    ignored = shutil.ignore_patterns("plugins", "__pycache__")
    shutil.copytree(Path(vs.__file__).parent, site / "vapoursynth", ignore=ignored, dirs_exist_ok=True)
    variables = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX", "PYTHONPATH")}
    run = subprocess.run(
        [python, "-P", "-c", USE],
        env={**variables, "PATH": str(python.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    package, plugin, result = run.stdout.splitlines()
    assert Path(package) == site / "vscugan" / "__init__.py"
    assert Path(plugin).parent == site / "vapoursynth" / "plugins"
    assert result == "128 96 0.6"


#: the native build, whose compiler is replaced by a copy
EDITABLE = """
import shutil, sys
from pathlib import Path
from setuptools import build_meta
from setuptools.command.build_ext import build_ext
plugin, folder = sys.argv[1:]
def copy(self, ext):
    target = Path(self.build_lib, self.get_ext_filename(ext.name))
    target.parent.mkdir(parents=True)
    shutil.copy(plugin, target)
build_ext.build_extension = copy
print(build_meta.build_editable(folder))
"""


def test_an_editable_installation_holds_the_plugin(tmp_path: Path) -> None:
    """What pip install -e runs: Python reads the sources, and the plugin goes where VapourSynth loads it by itself."""
    plugin = next(path for path in Path(vs.get_plugin_dir()).iterdir() if path.stem == "vscugan")
    run = subprocess.run(
        [sys.executable, "-c", EDITABLE, plugin, tmp_path], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr
    with ZipFile(tmp_path / run.stdout.splitlines()[-1]) as wheel:
        names = wheel.namelist()
        assert wheel.read(f"vapoursynth/plugins/{plugin.name}") == plugin.read_bytes()
    assert not any(name.startswith("vscugan/") for name in names)
    assert not (ROOT / "vapoursynth").exists()
