"""Tiles that see less around themselves than the network does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.frames import upscale

from vscugan.architectures import ARCHITECTURES
from vscugan.engine.engine import Engine
from vscugan.errors import ArgumentError
from vscugan.settings import validate

#: In codes of 8 bit: what docs/figures/lineage.md says of tiles of RRDBNet.
BOUND = 0.5


def through(x: np.ndarray, **arguments: Any) -> np.ndarray:
    return upscale(Engine(validate(backend="torch", **arguments)), x)


def strip(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.ascontiguousarray(picture[:, 100 : 100 + height, 200 : 200 + width])


@pytest.mark.parametrize(("model", "architecture"), [("realesrgan-anime", "rrdb-6b"), ("realesrgan", "rrdb-23b")])
def test_tiles_of_rrdbnet_are_within_half_a_code(model: str, architecture: str, picture: np.ndarray) -> None:
    halo = ARCHITECTURES[architecture].halo_px
    assert halo < ARCHITECTURES[architecture].reach_px
    x = strip(picture, 12, 64 + 2 * halo)  # both tiles see less than the picture
    whole, tiled = (through(x, model=model, tile=tile) for tile in (0, [32 + halo, 0]))
    assert 0 < 255 * np.abs(tiled - whole).max() < BOUND


def test_a_halo_of_the_whole_reach_is_exact(picture: np.ndarray) -> None:
    reach = ARCHITECTURES["rrdb-6b"].reach_px
    x = strip(picture, 12, 2 * reach + 64)
    whole, tiled = (through(x, model="realesrgan-anime", halo=reach, tile=tile) for tile in (0, [reach + 32, 0]))
    assert np.abs(tiled - whole).max() < 2e-5


def test_a_halo_beyond_the_reach_is_the_reach() -> None:
    rrdb = ARCHITECTURES["rrdb-6b"]
    assert rrdb.with_halo(1024).halo_px == rrdb.reach_px == 94
    assert rrdb.with_halo(0).halo_px == 0


def test_networks_whose_tiles_share_maps_take_no_halo() -> None:
    for model, family in (("se", "UpCunet"), ("waifu2x", "UpCunet"), ("waifu2x-anime", "upconv 7")):
        with pytest.raises(ArgumentError) as error:
            Engine(validate(model=model, halo=8))
        assert str(error.value) == (
            f"halo must be left out for {family}, got 8; its tiles give the whole frame as they are"
        )


def test_a_smaller_halo_is_taken_where_tiles_would_be_exact(picture: np.ndarray) -> None:
    """Real-ESRGAN's compact network sees 18 px, for anybody who would rather be fast."""
    x, arguments = strip(picture, 24, 97), {"model": "realesrgan-animevideo", "scale": 4}
    whole = through(x, tile=0, **arguments)
    assert np.abs(through(x, tile=[32, 0], **arguments) - whole).max() < 2e-5
    assert np.abs(through(x, tile=[32, 0], halo=4, **arguments) - whole).max() > 1e-3
