"""vs-mlrt's functions for the models that are here: ``from vscugan.vsmlrt import CUGAN, Backend``.

A script that was written for vs-mlrt's ``vsmlrt.py`` (3.22) moves by that line. Names, order and defaults of the
arguments are the same, but for ``backend``, which is the fastest one here where it is left out. What has no counterpart
is an error, or a line in VapourSynth's log. Clips may also be YUV or integer, as with ``vscugan.upscale``.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from math import ceil
from typing import Literal

import vapoursynth as vs

from vscugan.clip.upscale import upscale
from vscugan.option_values import listed, plain
from vscugan.settings import SMALLEST_TILE_PX
from vscugan.vsmlrt_backends import Backend, BackendV2, Carried, carry_over

__all__ = [
    "CUGAN",
    "Backend",
    "BackendV2",
    "RealESRGAN",
    "RealESRGANModel",
    "RealESRGANv2",
    "RealESRGANv2Model",
    "Waifu2x",
    "Waifu2xModel",
]

#: One number for both axes, or (width, height).
Pair = int | Sequence[int]
Noise = Literal[-1, 0, 1, 2, 3]


class Waifu2xModel(IntEnum):
    """vs-mlrt's numbers of waifu2x's models."""

    anime_style_art = 0
    anime_style_art_rgb = 1
    photo = 2
    upconv_7_anime_style_art_rgb = 3
    upconv_7_photo = 4
    upresnet10 = 5
    cunet = 6
    swin_unet_art = 7
    swin_unet_photo = 8
    swin_unet_photo_v2 = 9
    swin_unet_art_scan = 10


class RealESRGANModel(IntEnum):
    """vs-mlrt's numbers of Real-ESRGAN's models, without those that others contributed."""

    animevideo_xsx2 = 0
    animevideo_xsx4 = 1
    animevideov3 = 2


RealESRGANv2Model = RealESRGANModel

#: What Upscale's ``model`` is for vs-mlrt's.
WAIFU2X: dict[int, str] = {
    Waifu2xModel.upconv_7_anime_style_art_rgb: "waifu2x-anime",
    Waifu2xModel.upconv_7_photo: "waifu2x-photo",
    Waifu2xModel.cunet: "waifu2x",
}
REALESRGAN: dict[int, str] = {RealESRGANModel.animevideov3: "realesrgan-animevideo"}
CUGAN_VERSIONS: dict[int, str] = {1: "se", 2: "pro"}


def CUGAN(
    clip: vs.VideoNode,
    noise: Noise = -1,
    scale: Literal[2, 3, 4] = 2,
    tiles: Pair | None = None,
    tilesize: Pair | None = None,
    overlap: Pair | None = None,
    backend: object = None,
    alpha: float = 1.0,
    version: Literal[1, 2] = 1,
    conformance: bool = True,
) -> vs.VideoNode:
    """Upscale with Real-CUGAN, called as vs-mlrt's ``CUGAN``.

    ``noise``: -1 no-denoise, 0 conservative, 1 to 3. ``tiles``: how many along each axis, ``tilesize``: in source px;
    they change memory and time, but not the picture, so ``overlap`` has no effect. ``backend``: one of vs-mlrt's
    ``Backend``, one of ``vscugan.vsmlrt.Backend``, or a name that ``vscugan.upscale`` takes. ``alpha``: larger is
    sharper. ``version``: 1 is ``model="se"``, 2 is ``model="pro"``. ``conformance``: Pro's range of values, which
    can't be left out here. Returns the clip ``scale`` times as large, in its own format.
    Raises: vs.Error, as ``vscugan.CUGAN: <argument> must be <allowed>, got <value>; <next step>``, and what
    ``vscugan.upscale`` raises.
    """
    call = _Call("CUGAN", clip, backend)
    model = call.known("version", version, CUGAN_VERSIONS)
    if version == 2 and not conformance:
        raise call.error(f"conformance must be True with version=2, got {conformance}; leave it out")
    tile = call.tile(tiles, tilesize, overlap)
    return upscale(clip, noise=noise, scale=scale, tile=tile, alpha=alpha, model=model, **call.options)


def Waifu2x(
    clip: vs.VideoNode,
    noise: Noise = -1,
    scale: Literal[1, 2] = 2,
    tiles: Pair | None = None,
    tilesize: Pair | None = None,
    overlap: Pair | None = None,
    model: Waifu2xModel | int = Waifu2xModel.cunet,
    backend: object = None,
    preprocess: bool = True,
) -> vs.VideoNode:
    """Upscale with waifu2x, called as vs-mlrt's ``Waifu2x``.

    ``noise``: -1 no-denoise, 0 to 3. ``model``: cunet, upconv_7_anime_style_art_rgb or upconv_7_photo; ``preprocess``
    has an effect with none of these. The other arguments, what is returned and what is raised are as with ``CUGAN``.
    With ``scale=1``, what has no network for it is enlarged and shrunk again, by Spline36 where vs-mlrt takes Bicubic.
    """
    call = _Call("Waifu2x", clip, backend)
    name = call.known("model", model, WAIFU2X)
    tile = call.tile(tiles, tilesize, overlap)
    return upscale(clip, noise=noise, scale=scale, tile=tile, model=name, **call.options)


def RealESRGAN(
    clip: vs.VideoNode,
    tiles: Pair | None = None,
    tilesize: Pair | None = None,
    overlap: Pair | None = None,
    model: RealESRGANModel | int = RealESRGANModel.animevideo_xsx2,
    backend: object = None,
    scale: float | None = None,
) -> vs.VideoNode:
    """Upscale with Real-ESRGAN, called as vs-mlrt's ``RealESRGAN``.

    ``model``: animevideov3; vs-mlrt's default, animevideo_xsx2, is not here, so it must be named. ``scale``: 4 where it
    is left out; 2 and 3 are networks of their own here, where vs-mlrt shrinks the result of 4. The other arguments,
    what is returned and what is raised are as with ``CUGAN``.
    """
    call = _Call("RealESRGAN", clip, backend)
    name = call.known("model", model, REALESRGAN)
    if scale is not None and scale != 4:
        call.log(f"scale={plain(scale)} is computed by the networks of that size; vs-mlrt shrinks the result of 4")
    tile = call.tile(tiles, tilesize, overlap)
    return upscale(clip, scale=4 if scale is None else scale, tile=tile, model=name, **call.options)


RealESRGANv2 = RealESRGAN


class _Call:
    """One call of a function of vs-mlrt's: what is the same in all of them."""

    def __init__(self, function: str, clip: vs.VideoNode, backend: object) -> None:
        self.prefix = f"vscugan.{function}: "
        self.clip = clip
        self.options: Carried = carry_over(backend, self.error, self.log)

    def error(self, text: str) -> vs.Error:
        return vs.Error(self.prefix + text)

    def log(self, text: str) -> None:
        vs.core.log_message(vs.MESSAGE_TYPE_INFORMATION, self.prefix + text)

    def known(self, argument: str, value: int, names: dict[int, str]) -> str:
        """Upscale's ``model`` for a number of vs-mlrt's."""
        if isinstance(value, int) and value in names:
            return names[value]
        numbers = listed([f"{int(n)} ({getattr(n, 'name', names[n])})" for n in names])
        raise self.error(f"{argument} must be {numbers}, got {value}; vscugan models lists what is here")

    def tile(self, tiles: Pair | None, tilesize: Pair | None, overlap: Pair | None) -> list[int] | None:
        """Upscale's ``tile``; ``tilesize`` is taken before ``tiles``, as by vs-mlrt."""
        if overlap is not None:
            self.log("overlap has no effect: tiles give the picture of the whole frame without one")
        if tilesize is not None:
            return self._pair("tilesize", tilesize, SMALLEST_TILE_PX, "px")
        if tiles is None or not isinstance(self.clip, vs.VideoNode):
            return None
        across, down = self._pair("tiles", tiles, 1, "along each axis")
        width, height = self.clip.width, self.clip.height
        tile = [0 if across == 1 else ceil(width / across), 0 if down == 1 else ceil(height / down)]
        if any(0 < size < SMALLEST_TILE_PX for size in tile):
            raise self.error(
                f"tiles must leave tiles of at least {SMALLEST_TILE_PX} px, got {tiles} for {width}x{height} px; "
                "use fewer, or leave it out"
            )
        return tile

    def _pair(self, argument: str, value: Pair, least: int, unit: str) -> list[int]:
        pair = list(value) if isinstance(value, Sequence) else [value, value]
        if len(pair) != 2 or not all(isinstance(px, int) and px >= least for px in pair):
            raise self.error(
                f"{argument} must be one or two numbers of at least {least} {unit}, got {value}; "
                "use one number, (width, height), or leave it out"
            )
        return pair
