"""Users' own networks as a script has them: sizes, alpha, reuse, report and what the core's log says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support.frames import arrays_of, bits_of, painted, props_of
from support.user_networks import compact, convolutions, made_by_spandrel, onnx_network, saved

from vscugan.files import sha256
from vscugan.models.probe import BOUND

Art = Callable[..., vs.VideoNode]


@pytest.fixture(params=["compact.pth", "swinir.safetensors", "valid.onnx"])
def weights(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path: Path = tmp_path / request.param
    if path.suffix == ".onnx":
        path.write_bytes(onnx_network(**convolutions(3, 3, scale=2)))
        return path
    return saved(path, compact() if path.stem == "compact" else made_by_spandrel("SwinIR"))


def test_a_clip_with_its_report(core: Any, art_clip: Art, weights: Path) -> None:
    clip = core.cugan.Upscale(art_clip(length=2), weights=str(weights), report=1)
    assert (clip.width, clip.height) == (128, 96)
    assert props_of(clip, "CuganWeights") == [sha256(weights)] * 2
    assert props_of(clip, "CuganTile") == ["whole"] * 2
    tiled = core.cugan.Upscale(art_clip(length=2), weights=str(weights), tile=32)
    for one, other in zip(arrays_of(clip), arrays_of(tiled), strict=True):
        assert np.abs(one - other).max() < BOUND


def test_sizes_by_routes(core: Any, art_clip: Art, weights: Path) -> None:
    clip = core.cugan.Upscale(art_clip(), weights=str(weights), width=200, report=1)
    assert (clip.width, clip.height) == (200, 150)
    assert props_of(clip, "CuganWeights") == [", ".join([sha256(weights)] * 2)]  # two passes


def test_scale_1_keeps_the_size_and_makes_nothing_larger(core: Any, art_clip: Art, tmp_path: Path) -> None:
    path = str(saved(tmp_path / "x.pth", compact(scale=1)))
    for options in ({}, {"scale": 1}):
        clip = core.cugan.Upscale(art_clip(), weights=path, **options)
        assert (clip.width, clip.height) == (64, 48)
        assert len(bits_of(clip)) == 1
    with pytest.raises(vs.Error) as error:
        core.cugan.Upscale(art_clip(), weights=path, width=128)
    assert str(error.value) == (
        "cugan.Upscale: weights must have a scale above 1 for a larger picture, got a file for scale=1; "
        "use another file"
    )


@pytest.mark.parametrize("reuse", ["exact", "still"])
def test_reuse_gives_the_same_frames(core: Any, picture: np.ndarray, weights: Path, reuse: str) -> None:
    """A box moves over art, each place twice. What is still stays as it was, whatever a network sees of the box."""

    def paint(n: int, planes: list[np.ndarray]) -> None:
        for plane, values in zip(planes, picture, strict=True):
            plane[:] = values[100:196, 200:328]
            plane[24:40, 8 * (n // 2) : 8 * (n // 2) + 16] += 0.1

    clip = painted(core, core.std.BlankClip(format=vs.RGBS, width=128, height=96, length=8, keep=True), paint)
    wanted = arrays_of(core.cugan.Upscale(clip, weights=str(weights), reuse="off"))
    reused = core.cugan.Upscale(clip, weights=str(weights), reuse=reuse, report=1)
    for one, other in zip(arrays_of(reused), wanted, strict=True):
        assert np.abs(one - other).max() < (BOUND if reuse == "exact" else 1 / 255)
    assert max(props_of(reused, "CuganReused")) > 0.4


def test_a_network_that_sees_the_whole_frame_computes_each_that_changes(
    core: Any, art_clip: Art, tmp_path: Path
) -> None:
    path = str(saved(tmp_path / "rcan.pth", made_by_spandrel("RCAN")))
    clip = art_clip(length=2)
    clip = clip[0] + clip[0] + clip[1] + core.std.Expr([clip[1]], "x 0.1 +")
    wanted = arrays_of(core.cugan.Upscale(clip, weights=path, reuse="off"))
    reused = core.cugan.Upscale(clip, weights=path, reuse="still", report=1)
    assert all(np.array_equal(one, other) for one, other in zip(arrays_of(reused), wanted, strict=True))


def test_an_alpha_clip_beside_it(core: Any, art_clip: Art, weights: Path) -> None:
    alpha = core.std.BlankClip(format=vs.GRAYS, width=64, height=48, length=1, color=0.5)
    clip = core.cugan.Upscale(art_clip(), weights=str(weights), alpha_clip=alpha)
    frame = clip.get_frame(0)
    assert frame.props["_Alpha"].width == 128


def test_the_error_is_a_scripts(core: Any, art_clip: Art, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(b"garbage" * 9)
    with pytest.raises(vs.Error) as error:
        core.cugan.Upscale(art_clip(), weights=str(path))
    assert str(error.value) == (
        f"cugan.Upscale: {path} must be an ONNX file, got damaged data; get the file again, or use the released models"
    )
