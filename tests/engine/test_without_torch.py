"""A CPU computes by OpenVINO, ncnn and ONNX Runtime without torch: it is not loaded, and not missed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from support.frames import upscale

from vscugan.engine.engine import Engine
from vscugan.errors import DeviceError
from vscugan.models.weights import load_file
from vscugan.settings import validate

SIZE = (48, 64)
FRAMES: list[dict[str, object]] = [
    {"backend": "openvino"},
    {"backend": "openvino", "model": "pro"},
    {"backend": "openvino", "tile": 32},
    {"backend": "openvino", "model": "fast", "tile": 32},
    {"backend": "ncnn", "tile": 32},
    {"backend": "onnxruntime", "model": "fast"},
]
CODE = """
import hashlib, json, sys
hidden = sys.argv[1] == "hidden"
if hidden:
    sys.modules["torch"] = None
import numpy as np
from vscugan.engine.engine import Engine
from vscugan.settings import validate

height, width = json.loads(sys.argv[2])
x = np.random.default_rng(0).random((3, height, width), np.float32)
for options in json.loads(sys.argv[3]):
    out = np.empty((3, 2 * height, 2 * width), np.float32)
    Engine(validate(device="cpu", **options)).upscale(x, list(out))
    print(hashlib.sha256(out.tobytes()).hexdigest())

import vapoursynth as vs
clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=width, height=height, length=2)
for reuse in ("off", "exact", "still"):
    vs.core.cugan.Upscale(clip, device="cpu", backend="openvino", model="fast", reuse=reuse).get_frame(1).close()
assert hidden or "torch" not in sys.modules, "torch was loaded"
refused = [
    {"backend": "torch"}, {"overshoot": "restore", "backend": "openvino"}, {"weights": sys.argv[4]},
] if hidden else []
for options in refused:
    try:
        Engine(validate(device="cpu", **options))  # before the first frame
    except Exception as error:
        print(error)
"""


def run(how: str, weights: Path) -> list[str]:
    command = [sys.executable, "-P", "-c", CODE, how, json.dumps(SIZE), json.dumps(FRAMES), str(weights)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout.splitlines()


@pytest.fixture(scope="module")
def expected() -> list[str]:
    """Hashes of the frames in this process, which has torch."""
    x = np.random.default_rng(0).random((3, *SIZE), np.float32)
    frames = (upscale(Engine(validate(device="cpu", **options)), x) for options in FRAMES)
    return [hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames]


def test_torch_is_not_loaded(expected: list[str], tmp_path: Path) -> None:
    assert run("installed", tmp_path / "x.pth") == expected


def test_without_torch_frames_have_the_same_bits(expected: list[str], tmp_path: Path) -> None:
    weights = tmp_path / "x.pth"
    weights.touch()
    frames, refusals = (lines := run("hidden", weights))[: len(expected)], lines[len(expected) :]
    assert frames == expected
    why = "got ModuleNotFoundError: import of torch halted; None in sys.modules; run pip install torch"
    assert refusals == [
        f"backend=torch must be installed, {why}, or use backend=auto",
        f"overshoot=restore must have torch, {why}",
        f"weights=x.pth must have torch, {why}",
    ]


def test_another_network_needs_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"first.weight": np.zeros((3, 3), np.float32)}, path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)  # spandrel is there
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "vscugan.models.spandrel_file", raising=False)
    with pytest.raises(DeviceError, match="must have torch, got ModuleNotFoundError"):
        load_file(str(path))
