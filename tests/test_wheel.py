"""The wheel, and an editable installation: both bring the plugin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import vapoursynth as vs

from vscugan.cli.doctor_command import LOAD_SCRIPT

ROOT = Path(__file__).parent.parent


def test_the_wheel_serves_every_python_and_holds_the_plugin(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    wheel = next(tmp_path.glob("*.whl"))
    assert "-py3-none-" in wheel.name
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target, wheel], check=True
    )
    names = {path.relative_to(target).as_posix() for path in target.rglob("*")}
    weights = {f"vscugan/weights/{name}" for name in ("manifest.json", "fast.safetensors")}
    assert {"vscugan/py.typed", "vscugan/plugin.pyi", *weights} <= names
    plugin = next(p for p in (target / "vapoursynth" / "plugins").iterdir() if p.stem == "vscugan")
    subprocess.run([sys.executable, "-c", LOAD_SCRIPT, plugin], check=True)


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
