"""Whole processes: autoload, vspipe, the wheel, doctor, and the end of a process."""

from __future__ import annotations

import importlib.abc
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
import vapoursynth as vs
from support.processes import vspipe

from vscugan.cli import doctor
from vscugan.encode.encoders import programs as encoders
from vscugan.install import how_to_reinstall

ROOT = Path(__file__).parent.parent
SCRIPT = """
import vapoursynth as vs
core = vs.core
clip = core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=3, color=[100, 90, 160])
clip = core.cugan.Upscale(clip, scale=2, noise="denoise1x")
clip.set_output()
"""


def test_doctor_finds_everything_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.doctor() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"ok    {name}" for name, _ in doctor.CHECKS]


def test_doctor_says_what_is_not_well(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vs, "get_plugin_dir", lambda: "/nowhere")
    monkeypatch.delenv("VAPOURSYNTH_EXTRA_PLUGIN_PATH", raising=False)
    monkeypatch.setattr(doctor, "CHECKS", [check for check in doctor.CHECKS if check[0] == "bridge"])
    assert doctor.doctor() == 1
    assert capsys.readouterr().out == f"FAIL  bridge: no vscugan plugin in /nowhere; {how_to_reinstall()}\n"


def test_doctor_names_packages_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "xxhash" in doctor.packages()
    version = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: None if name == "xxhash" else version(name))
    with pytest.raises(doctor.Unwell) as error:
        doctor.packages()
    assert str(error.value) == "xxhash not installed; run pip install xxhash"


class Bare:
    """VapourSynth's core without a source filter."""

    cugan = object()


def test_doctor_fails_nobody_for_what_nobody_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    optional = {"vapoursynth-bestsource", "imageio-ffmpeg", "av", "pillow", "openvino", "onnxruntime"}
    version, checks = doctor.version, [c for c in doctor.CHECKS if c[0] not in ("bridge", "weights", "VapourSynth")]
    monkeypatch.setattr(doctor, "CHECKS", checks)
    monkeypatch.setattr(doctor, "version", lambda name: None if name in optional else version(name))
    monkeypatch.setattr(encoders, "find_ffmpeg", lambda: encoders.find_encoder("none at all"))
    monkeypatch.setattr(vs, "core", Bare)
    assert doctor.doctor() == 0
    absent = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("ok ")]
    assert absent == [
        "-     runtimes: openvino not installed, needed for the best speed on CPUs (now torch computes); run pip "
        "install openvino onnx",
        "-     source filter: vapoursynth-bestsource not installed, needed for encode, preview and verify; run pip "
        "install vapoursynth-bestsource",
        "-     encoders: ffmpeg not installed, needed for encode; run pip install imageio-ffmpeg",
        "-     encode packages: vapoursynth-bestsource, imageio-ffmpeg, av, pillow not installed, needed for encode, "
        "image, preview and verify; run pip install vapoursynth-bestsource imageio-ffmpeg av pillow",
    ]


def test_doctor_says_the_way_out_of_what_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin that dies, a torch and an OpenVINO that do not load, a source filter that is installed and not there."""

    class Broken(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == "torch":
                raise OSError("libtorch.so: bad")
            if name == "vscugan.runtime.openvino_runtime":
                raise ImportError("Check 'versions_compatible' failed")

    checks = dict(doctor.CHECKS)

    def said(*names: str) -> list[str]:
        monkeypatch.setattr(doctor, "CHECKS", [(name, checks[name]) for name in names])
        assert doctor.doctor() == 1
        return capsys.readouterr().out.splitlines()

    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "vscugan.runtime.openvino_runtime", raising=False)
    monkeypatch.setattr(doctor, "_LOAD", "import os, signal; os.kill(os.getpid(), signal.SIGBUS)")
    monkeypatch.setattr(vs, "core", Bare)
    assert said("bridge", "runtimes", "source filter") == [
        "FAIL  bridge: the plugin does not load: SIGBUS (a file was cut off or could not be read while it was in use, "
        f"or memory was short); {how_to_reinstall()}",
        "FAIL  runtimes: openvino does not load: another OpenVINO in this process, which a plugin such as "
        "vapoursynth-mlrt-ov has loaded (ImportError: Check 'versions_compatible' failed); run pip uninstall "
        "vapoursynth-mlrt-ov where it is not needed, or use backend=auto",
        "FAIL  source filter: core.bs is missing; run pip install --force-reinstall vapoursynth-bestsource",
    ]
    monkeypatch.delitem(sys.modules, "torch")
    assert said("torch", "device", "weights", "runtimes") == [
        "FAIL  torch: OSError: libtorch.so: bad; run pip install --force-reinstall torch",
        "FAIL  device: torch does not load; see the line about torch",
        "FAIL  weights: torch does not load; see the line about torch",
        "FAIL  runtimes: torch does not load; see the line about torch",
    ]


def test_doctor_names_every_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, names in ((torch.cuda, ["A", "B"]), (torch.xpu, ["C"])):
        monkeypatch.setattr(kind, "is_available", lambda: True)
        monkeypatch.setattr(kind, "device_count", names.__len__)
        monkeypatch.setattr(kind, "get_device_name", names.__getitem__)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    threads = torch.get_num_threads()
    assert doctor.device() == f"cuda:0 A, cuda:1 B, xpu:0 C, cpu with {threads} threads"


def test_doctor_names_every_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "x265"
    tool.write_text("#!/bin/sh\necho 'x265 4.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.encoders() == (f"x265 {tool}, x264 inside ffmpeg, svt-av1 inside ffmpeg, ffv1 inside ffmpeg")


def test_doctor_names_a_cache_that_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VSCUGAN_CACHE", str(tmp_path / "file"))
    with pytest.raises(doctor.Unwell) as error:
        doctor.disk()
    assert str(error.value) == (
        f"no folder that may be written to: {tmp_path / 'file'} (cache); name another one by VSCUGAN_CACHE"
    )


def test_loadplugin_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "vscugan.so"
    broken.write_bytes(b"not a plugin")
    run = subprocess.run([sys.executable, "-c", doctor._LOAD, broken], capture_output=True, text=True, check=False)
    assert run.returncode
    assert "Error" in run.stderr


def test_vspipe_writes_frames_and_nothing_else(tmp_path: Path) -> None:
    script = tmp_path / "a.vpy"
    script.write_text(SCRIPT)
    run = vspipe("-c", "y4m", str(script), "-")
    assert run.returncode == 0, run.stderr
    header = run.stdout.split(b"\n", 1)[0]
    assert header.startswith(b"YUV4MPEG2 C420")
    assert len(run.stdout) == len(header) + 1 + 3 * (len(b"FRAME\n") + 64 * 64 * 3 // 2)
    graph = vspipe("--graph", "full", str(script))
    assert b"Upscale" in graph.stdout
    times = vspipe("--filter-time", str(script), "--")
    row = next(line.split() for line in times.stderr.splitlines() if line.startswith(b"Upscale "))
    assert row[1] == b"parallel"


def test_vspipe_shows_our_message(tmp_path: Path) -> None:
    script = tmp_path / "a.vpy"
    script.write_text(SCRIPT.replace("scale=2", "scale=17"))
    run = vspipe(str(script), "--")
    assert run.returncode != 0
    assert b"cugan.Upscale: scale must be 1 to 16, got 17; 1 restores without resizing" in run.stderr


def test_short_runs_end_in_time(tmp_path: Path) -> None:
    script = tmp_path / "a.vpy"
    script.write_text(SCRIPT)
    for _ in range(int(os.environ.get("VSCUGAN_SHORT_RUNS", "10"))):
        assert vspipe(str(script), "--", timeout=60).returncode == 0


def test_python_ends_in_the_middle_of_a_run(tmp_path: Path) -> None:
    """Frames still in flight and the node still held, at the end of the script."""
    script = tmp_path / "a.py"
    script.write_text(
        SCRIPT.replace("length=3", "length=50") + "futures = [clip.get_frame_async(n) for n in range(9)]\n"
    )
    run = subprocess.run([sys.executable, str(script)], capture_output=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr


def test_the_core_made_again_and_again_keeps_memory_flat(tmp_path: Path) -> None:
    script = tmp_path / "a.py"
    script.write_text(
        """
import gc, sys, psutil
import vapoursynth as vs
class Policy(vs.EnvironmentPolicy):
    current = None
    def on_policy_registered(self, api): self.api = api
    def on_policy_cleared(self): pass
    def get_current_environment(self): return self.current
    def set_environment(self, environment):
        old, self.current = self.current, environment
        return old
policy = Policy()
vs.register_policy(policy)
seen = []
for k in range(50):
    environment = policy.api.create_environment()
    policy.current = environment
    clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=20)
    for frame in vs.core.cugan.Upscale(clip).frames(): frame.close()
    del clip, frame
    gc.collect()
    policy.current = None
    policy.api.destroy_environment(environment)
    seen.append(psutil.Process().memory_info().rss)
print(min(seen[5:15]), min(seen[-10:]))
"""
    )
    # with an arena for each of VapourSynth's threads the C library's own ups and downs are 60 MiB
    run = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True, text=True, timeout=250, check=False, env=os.environ | {"MALLOC_ARENA_MAX": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    early, late = map(int, run.stdout.split())
    assert late - early < 8 << 20


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
    assert {"vscugan/py.typed", "vscugan/weights/manifest.json", "vscugan/plugin.pyi"} <= names
    plugin = next(p for p in (target / "vapoursynth" / "plugins").iterdir() if p.stem == "vscugan")
    subprocess.run([sys.executable, "-c", doctor._LOAD, plugin], check=True)


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


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.vpy")), ids=lambda p: p.name)
def test_examples_run_as_they_stand(example: Path) -> None:
    run = vspipe("-e", "0", str(example), "--", timeout=120)
    assert run.returncode == 0, run.stderr
