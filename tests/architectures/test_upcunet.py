"""The 17 released models against ncnn, and tiles against the whole frame."""

from __future__ import annotations

import ncnn
import numpy as np
import pytest
import torch
from support.frames import psnr
from support.frames import upscale as through
from support.plain_upcunet import plain_upcunet

from vscugan.architectures import ARCHITECTURES
from vscugan.engine.engine import Engine
from vscugan.engine.padding import network_input, picture_of
from vscugan.models.registry import ModelRow, find, released_folder, rows
from vscugan.models.weights import load_released
from vscugan.settings import validate


def upscale(x: np.ndarray, **arguments: object) -> np.ndarray:
    """A (3, H, W) frame through an engine of its own, which must be of the backend that was asked for."""
    engine = Engine(validate(**arguments))
    assert engine.passes[0].runtime.name == arguments.get("backend", engine.passes[0].runtime.name)
    return through(engine, x)


def by_ncnn(row: ModelRow, x: np.ndarray) -> np.ndarray:
    """The same files through the ncnn package in fp32."""
    net = ncnn.Net()
    for option in ("fp16_storage", "fp16_arithmetic", "fp16_packed", "bf16_storage", "winograd_convolution"):
        setattr(net.opt, f"use_{option}", False)
    folder = released_folder(row)
    assert net.load_param(str(folder / row.param)) == 0
    assert net.load_model(str(folder / row.bin)) == 0
    architecture = ARCHITECTURES[row.architecture]
    height, width = x.shape[1:]
    padded, _ = network_input(architecture, torch.from_numpy(x)[None])
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(np.ascontiguousarray(padded[0].numpy())))
    _, mat = extractor.extract("out0")
    out = np.array(mat)[:, : height * row.scale, : width * row.scale]
    if row.scale == 4:  # the file ends before the enlarged input is added
        out = out + x.repeat(4, axis=1).repeat(4, axis=2)
    return picture_of(architecture, torch.from_numpy(out)).clamp(0, 1).numpy()


BACKENDS = ("torch", "openvino", "onnxruntime")
#: ONNX Runtime's own convolutions round by up to 9e-5 of the range on Pro models, whole or tiled
ROUNDING = {"torch": 2e-5, "openvino": 2e-5, "onnxruntime": 1e-4}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
@pytest.mark.parametrize("backend", BACKENDS)
def test_model_is_the_one_that_ncnn_runs(row: ModelRow, backend: str, picture: np.ndarray) -> None:
    x = np.ascontiguousarray(picture[:, 100:163, 260:327])
    ours = upscale(x, scale=row.scale, noise=row.noise, model=row.model, tile=0, backend=backend)
    theirs = by_ncnn(row, x)
    assert np.abs(ours - theirs).max() < 1e-4
    assert psnr(ours, theirs) > 100


@pytest.mark.parametrize(("model", "scale"), [("se", 2), ("se", 3), ("se", 4), ("pro", 2), ("pro", 3)])
@pytest.mark.parametrize("alpha", [1.0, 0.8])
@pytest.mark.parametrize("backend", BACKENDS)
def test_tiles_give_the_whole_frame(model: str, scale: int, alpha: float, backend: str, picture: np.ndarray) -> None:
    x = np.ascontiguousarray(picture[:, 90:187, 250:381])  # 97 x 131: odd, and no tile divides it
    weights = load_released(find(model=model, scale=scale, noise="no-denoise"))
    with torch.inference_mode():
        plain = plain_upcunet(weights.tensors, torch.from_numpy(x)[None], scale=scale, pro=model == "pro", alpha=alpha)
    whole = upscale(x, scale=scale, model=model, tile=0, alpha=alpha, backend=backend)
    # the same library rounds alike, another one adds up in another order
    assert np.abs(plain[0].clamp(0, 1).numpy() - whole).max() < (2e-5 if backend == "torch" else 1e-4)
    for tile in (32, [64, 32], 50):
        tiled = upscale(x, scale=scale, model=model, tile=tile, alpha=alpha, backend=backend)
        assert np.abs(tiled - whole).max() < ROUNDING[backend], tile


@pytest.mark.instruction_set
@pytest.mark.usefixtures("every_precision")
@pytest.mark.parametrize(("backend", "precision"), [("torch", "bf16"), ("torch", "fp16"), ("openvino", "bf16")])
def test_low_precision_tiles_are_as_good_as_the_whole_frame(backend: str, precision: str, picture: np.ndarray) -> None:
    x = np.ascontiguousarray(picture[:, 100:164, 260:356])
    full = upscale(x, tile=0)
    whole, tiled = (upscale(x, tile=tile, precision=precision, backend=backend) for tile in (0, 32))
    if Engine(validate(precision=precision, backend=backend)).precision == "fp32":  # the CPU can't do better
        assert np.abs(tiled - full).max() < ROUNDING[backend]
        return
    assert psnr(whole, full) > 30
    # OpenVINO rounds at the borders of its graphs what it keeps in fp32 within one
    assert abs(psnr(tiled, full) - psnr(whole, full)) < (2 if backend == "openvino" else 1)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 19), (18, 40)])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("backend", BACKENDS)
def test_frames_smaller_than_the_halo(size: tuple[int, int], scale: int, backend: str) -> None:
    out = upscale(np.full((3, *size), 0.5, np.float32), scale=scale, noise="conservative", backend=backend)
    assert out.shape == (3, size[0] * scale, size[1] * scale)
    assert np.abs(out - 0.5).max() < 0.02
