"""Every released model against ncnn or the published network, and tiles against the whole frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import ncnn
import numpy as np
import pytest
import torch
from support.clips import MAKE
from support.frames import planes, psnr
from support.frames import upscale as through
from support.plain_halfnet import HalfNet
from support.plain_upcunet import plain_upcunet
from support.published_networks import Compact, CUNet, RRDBNet, UpConv7, read
from support.tensors import TENSORS
from torch import nn

from vscugan.architectures import ARCHITECTURES
from vscugan.engine.engine import Engine
from vscugan.engine.padding import network_input, picture_of
from vscugan.models.registry import ModelRow, default_noise, find, released_folder, rows
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
    net.opt.num_threads = 1  # for small pictures threads would wait for each other
    folder = released_folder(row)
    assert net.load_param(str(folder / row.param)) == 0
    assert net.load_model(str(folder / row.file)) == 0
    architecture = ARCHITECTURES[row.architecture]
    height, width = x.shape[1:]
    padded, _ = network_input(architecture, TENSORS, torch.from_numpy(x)[None])
    extractor = net.create_extractor()
    extractor.input(net.input_names()[0], ncnn.Mat(np.ascontiguousarray(padded[0].numpy())))
    _, mat = extractor.extract(net.output_names()[0])
    out = np.array(mat)[:, : height * row.scale, : width * row.scale]
    if row.architecture == "upcunet-4x":  # the file ends before the enlarged input is added
        out = out + x.repeat(4, axis=1).repeat(4, axis=2)
    return np.asarray(picture_of(architecture, out).clip(0, 1))


BACKENDS = ("torch", "openvino", "onnxruntime")
#: ONNX Runtime's own convolutions round by up to 9e-5 of the range on Pro models, whole or tiled
ROUNDING = {"torch": 2e-5, "openvino": 2e-5, "onnxruntime": 1e-4}
REAL_CUGAN = [("se", 2), ("se", 3), ("se", 4), ("pro", 2), ("pro", 3)]
#: A model of each of the other networks, and the network as it was published.
PUBLISHED: dict[tuple[str, int], Callable[[Path], nn.Module]] = {
    ("fast", 1): partial(HalfNet, 1, "no-denoise"),
    ("fast", 2): partial(HalfNet, 2, "no-denoise"),
    ("waifu2x", 1): lambda path: read(CUNet(1), path),
    ("waifu2x", 2): lambda path: read(CUNet(2), path),
    ("waifu2x-anime", 2): lambda path: read(UpConv7(), path),
    ("waifu2x-photo", 2): lambda path: read(UpConv7(), path),
    ("realesrgan-animevideo", 2): lambda path: read(Compact(2), path),
    ("realesrgan-animevideo", 3): lambda path: read(Compact(3), path),
    ("realesrgan-animevideo", 4): lambda path: read(Compact(4), path),
    ("realesrgan-anime", 4): lambda path: read(RRDBNet(6), path),
    ("realesrgan", 4): lambda path: read(RRDBNet(23), path),
}
#: Those whose tiles give the whole frame; both models of upconv 7 are the same network.
EXACT = [key for key in PUBLISHED if key[0] in ("fast", "waifu2x", "waifu2x-anime", "realesrgan-animevideo")]


def default_row(model: str, scale: int) -> ModelRow:
    return find(model=model, scale=scale, noise=default_noise(model))


def published(row: ModelRow, x: np.ndarray) -> np.ndarray:
    """(3, H, W) through the published network."""
    network = PUBLISHED[row.model, row.scale](released_folder(row) / row.file)
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(x)[None])[0].clamp(0, 1).numpy())


#: Those of other networks are compared on the other backends with the published network.
RUNS = [
    (row, backend)
    for backend, row in product(BACKENDS, rows())
    if row.param and (backend == "torch" or row.model in ("se", "pro"))
]


@pytest.mark.parametrize(("row", "backend"), RUNS, ids=lambda value: getattr(value, "name", value))
def test_model_is_the_one_that_ncnn_runs(row: ModelRow, backend: str, picture: np.ndarray) -> None:
    height, width = (63, 67) if row.model in ("se", "pro") else (25, 33)
    x = np.ascontiguousarray(picture[:, 100 : 100 + height, 260 : 260 + width])
    ours = upscale(x, scale=row.scale, noise=row.noise, model=row.model, tile=0, backend=backend)
    theirs = by_ncnn(row, x)
    assert np.abs(ours - theirs).max() < 1e-4
    assert psnr(ours, theirs) > 100


@pytest.mark.parametrize(("model", "scale"), PUBLISHED)
@pytest.mark.parametrize("backend", [*BACKENDS, "ncnn"])
def test_the_filter_gives_what_the_published_network_gives(
    model: str, scale: int, backend: str, core: Any, art_clip: MAKE
) -> None:
    """Within a code of 8 bit is what is promised; measured are 5e-6, a thousandth of one."""
    clip = art_clip(40, 32)
    frame = core.cugan.Upscale(clip, model=model, scale=scale, backend=backend, report=1).get_frame(0)
    row = default_row(model, scale)
    assert (frame.props["CuganRuntime"], frame.props["CuganWeights"]) == (backend, row.sha256)
    wanted = published(row, np.stack(planes(clip.get_frame(0))))
    assert np.abs(np.stack(planes(frame)) - wanted).max() < 1e-4


def test_waifu2x_has_no_architecture_of_its_own_at_2x() -> None:
    """CUNet is the network that Real-CUGAN's 2x came from."""
    found = {row.architecture for row in rows() if (row.model, row.scale) == ("waifu2x", 2)}
    assert found == {find(model="se", scale=2, noise="conservative").architecture}


@pytest.mark.parametrize(("model", "scale"), REAL_CUGAN)
@pytest.mark.parametrize(
    ("backend", "alpha"), [("torch", 1.0), ("torch", 0.8), ("openvino", 1.0), ("onnxruntime", 0.8)]
)
def test_tiles_give_the_whole_frame(model: str, scale: int, alpha: float, backend: str, picture: np.ndarray) -> None:
    x = np.ascontiguousarray(picture[:, 90:187, 250:381])  # 97 x 131: odd, and no tile divides it
    weights = load_released(find(model=model, scale=scale, noise="no-denoise"))
    with torch.inference_mode():
        plain = plain_upcunet(weights.tensors, torch.from_numpy(x)[None], scale=scale, pro=model == "pro", alpha=alpha)
    whole = upscale(x, scale=scale, model=model, tile=0, alpha=alpha, backend=backend)
    # the same library rounds alike, another one adds up in another order
    assert np.abs(plain[0].clamp(0, 1).numpy() - whole).max() < (2e-5 if backend == "torch" else 1e-4)
    for tile in (32, [64, 50]):
        tiled = upscale(x, scale=scale, model=model, tile=tile, alpha=alpha, backend=backend)
        assert np.abs(tiled - whole).max() < ROUNDING[backend], tile


@pytest.mark.parametrize(("model", "scale"), EXACT)
@pytest.mark.parametrize("backend", [*BACKENDS, "ncnn"])
def test_tiles_of_other_networks_give_the_whole_frame(
    model: str, scale: int, backend: str, picture: np.ndarray
) -> None:
    height, width = (113, 127) if model == "fast" else (65, 71)  # it looks further
    x = np.ascontiguousarray(picture[:, 90 : 90 + height, 250 : 250 + width])
    arguments = {"model": model, "scale": scale, "backend": backend}
    whole = upscale(x, tile=0, **arguments)
    for tile in (32, [64, 33]):
        assert np.abs(upscale(x, tile=tile, **arguments) - whole).max() < 2e-5, tile


@pytest.mark.instruction_set
@pytest.mark.usefixtures("every_precision")
@pytest.mark.parametrize(("backend", "precision"), [("torch", "bf16"), ("torch", "fp16"), ("openvino", "bf16")])
@pytest.mark.parametrize(
    ("model", "scale"), [("se", 2), ("fast", 2), ("waifu2x", 1), ("waifu2x-anime", 2), ("realesrgan-animevideo", 2)]
)
def test_low_precision_tiles_are_as_good_as_the_whole_frame(
    model: str, scale: int, backend: str, precision: str, picture: np.ndarray
) -> None:
    x = np.ascontiguousarray(picture[:, 100:164, 260:356])
    arguments = {"model": model, "scale": scale}
    full = upscale(x, tile=0, **arguments)
    whole, tiled = (upscale(x, tile=tile, precision=precision, backend=backend, **arguments) for tile in (0, 32))
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


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 19)])
@pytest.mark.parametrize(("model", "scale"), [key for key in PUBLISHED if key != ("realesrgan", 4)])
def test_small_frames_through_other_networks(model: str, scale: int, size: tuple[int, int]) -> None:
    """Those that are padded with zeros are the published ones at any size; reflection ends with the frame."""
    x = np.full((3, *size), 0.5, np.float32)
    out = upscale(x, model=model, scale=scale)
    assert out.shape == (3, size[0] * scale, size[1] * scale)
    if model.startswith(("realesrgan", "fast")):
        assert np.abs(out - published(default_row(model, scale), x)).max() < 1e-4
    else:
        assert np.abs(out - 0.5).max() < 0.02
