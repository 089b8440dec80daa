"""A scaler for vs-jetpack: ``from vscugan.vsscale import Cugan``, wherever vsscale or vsaa takes one.

vs-jetpack must be installed (``pip install vsjetpack``).
"""

from __future__ import annotations

from typing import Any

import vapoursynth as vs

from vscugan.clip.upscale import upscale

try:
    from vskernels import Scaler
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"vscugan.vsscale: vs-jetpack must be installed, got {error}; run pip install vsjetpack"
    ) from error

#: What the call of a scaler says.
BY_THE_CALL = ("clip", "scale", "width", "height")


class Cugan(Scaler):  # type: ignore[misc]
    """Upscale as a scaler: ``Cugan(noise="denoise1x").supersample(clip, 2)``.

    ``scale(clip, width, height, shift)`` returns the clip at that size, in its own format: gray, YUV with any
    subsampling or RGB. ``shift``: (top, left) in px of the source, as with vs-jetpack's kernels; the
    result is moved by Spline36.
    """

    #: px that a px of the result sees around itself, in the largest of Real-CUGAN's networks
    _static_kernel_radius = 19

    def __init__(self, **options: Any) -> None:
        """Keep the options of ``vscugan.upscale``; it checks them when the first clip is scaled.

        Raises: vs.Error where an option is given that the call of the scaler says.
        """
        for name in BY_THE_CALL:
            if name in options:
                raise vs.Error(
                    f"vscugan.vsscale.Cugan: {name} must be left out, got {options[name]}; "
                    "use scale(clip, width, height) or supersample(clip, rfactor)"
                )
        super().__init__(**options)

    def scale_function(
        self,
        clip: vs.VideoNode,
        width: int,
        height: int,
        src_top: float = 0.0,
        src_left: float = 0.0,
        **options: Any,
    ) -> vs.VideoNode:
        """What ``scale`` and ``supersample`` call; ``options``: of ``vscugan.upscale``.

        Raises: vs.Error as ``vscugan.upscale``.
        """
        scaled = upscale(clip, width=width, height=height, **options)
        if not (src_top or src_left):
            return scaled
        top, left = src_top * height / clip.height, src_left * width / clip.width
        return vs.core.resize.Spline36(scaled, src_top=top, src_left=left)
