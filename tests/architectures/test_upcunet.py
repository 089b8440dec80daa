"""The 17 released models against ncnn, and tiles against the whole frame."""

from __future__ import annotations

from itertools import pairwise

import ncnn
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.frames import psnr
from support.frames import upscale as through
from support.plain_upcunet import plain_upcunet

from vscugan.engine.engine import Engine
from vscugan.models.registry import ModelRow, find, rows
from vscugan.models.weights import _released_folder, load_released
from vscugan.network import ARCHITECTURES, PRO_GAIN, PRO_OFFSET
from vscugan.network_pass import pad
from vscugan.settings import validate
from vscugan.tiling.geometry import core, owned, split, window


def upscale(x: np.ndarray, **arguments: object) -> np.ndarray:
    """A (3, H, W) frame through an engine of its own, which must be of the backend that was asked for."""
    engine = Engine(validate(**arguments))  # type: ignore[arg-type]
    assert engine.lanes[0].passes[0].runtime.name == arguments.get("backend", engine.lanes[0].backend)
    return through(engine, x)


def by_ncnn(row: ModelRow, x: np.ndarray) -> np.ndarray:
    """The same files through the ncnn package in fp32."""
    net = ncnn.Net()
    for option in ("fp16_storage", "fp16_arithmetic", "fp16_packed", "bf16_storage", "winograd_convolution"):
        setattr(net.opt, f"use_{option}", False)
    folder = _released_folder()
    assert net.load_param(str(folder / row.param)) == 0
    assert net.load_model(str(folder / row.bin)) == 0
    architecture = ARCHITECTURES[row.scale]
    height, width = x.shape[1:]
    source = torch.from_numpy(x)[None]
    if row.model == "pro":
        source = source * PRO_GAIN + PRO_OFFSET
    edge = architecture.pad_px
    padded = pad(source, edge, edge - height % -architecture.multiple, edge - width % -architecture.multiple)
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(np.ascontiguousarray(padded[0].numpy())))
    _, mat = extractor.extract("out0")
    out = np.array(mat)[:, : height * row.scale, : width * row.scale]
    if row.scale == 4:  # the file ends before the enlarged input is added
        out = out + x.repeat(4, axis=1).repeat(4, axis=2)
    if row.model == "pro":
        out = (out - PRO_OFFSET) / PRO_GAIN
    return out.clip(0, 1)


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
        plain = plain_upcunet(weights.tensors, torch.from_numpy(x)[None], scale=scale, pro=weights.pro, alpha=alpha)
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


@given(st.sampled_from([2, 3, 4]), st.integers(1, 400), st.integers(32, 160), st.booleans())
@settings(max_examples=200, deadline=None)
def test_tiles_own_every_pixel_once(scale: int, units: int, tile_px: int, keep: bool) -> None:
    architecture = ARCHITECTURES[scale]
    size = units * architecture.multiple
    maps = architecture.maps()
    tiles = split(size, tile_px, architecture.multiple)
    for stage in architecture.stages(keep_skips=keep):
        for name in stage.writes:
            spans = [owned(maps[name], tile, size) for tile in tiles]
            assert spans[0].start == 0
            assert spans[-1].stop == maps[name].size(size)
            assert all(a.stop == b.start for a, b in pairwise(spans))
            for tile, span in zip(tiles, spans, strict=True):
                at = core(architecture, stage, tile, size)
                made = window(maps[name], at, 0)
                assert made.start <= span.start <= span.stop <= made.stop
        for tile in tiles:
            at = core(architecture, stage, tile, size)
            for name, crop_px in stage.reads.items():
                read = window(maps[name], at, crop_px)
                assert 0 <= read.start < read.stop <= maps[name].size(size)
