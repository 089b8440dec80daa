"""vscugan: Real-CUGAN, waifu2x and Real-ESRGAN, anime upscaling for VapourSynth.

A script needs no import: ``core.cugan.Upscale(clip)`` is there after the installation. ``upscale`` is its typed twin,
and ``describe`` reports what computes a clip. ``CUGAN`` is called as that of vs-mlrt. Importing this package loads
neither torch nor VapourSynth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vscugan.clip.upscale import describe, upscale
    from vscugan.vsmlrt import CUGAN

__version__ = "0.1.0"
__all__ = ["CUGAN", "__version__", "describe", "upscale"]


def __getattr__(name: str) -> Any:
    if name in ("describe", "upscale"):
        from vscugan.clip import upscale as module

        return getattr(module, name)
    if name == "CUGAN":
        from vscugan.vsmlrt import CUGAN

        return CUGAN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
