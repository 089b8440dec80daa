"""Type of ``core.cugan`` for editors, mypy and pyright: ``cugan: "Plugin" = core.cugan``.

Type checkers know plugins by the stubs that ``vsstubs`` writes; this is narrower, and names what may be chosen.
Without those stubs use ``vscugan.upscale``. vs-mlrt's integers for ``noise`` are for that function, too.
"""

# written by scripts/make_stub.py

from collections.abc import Sequence
from typing import Literal, Protocol

import vapoursynth as vs

class Plugin(Protocol):
    def Upscale(
        self,
        clip: vs.VideoNode,
        scale: float | None = None,
        noise: Literal["conservative", "no-denoise", "denoise0x", "denoise1x", "denoise2x", "denoise3x"] | None = None,
        model: Literal[
            "se",
            "pro",
            "fast",
            "waifu2x",
            "waifu2x-anime",
            "waifu2x-photo",
            "realesrgan-animevideo",
            "realesrgan-anime",
            "realesrgan",
        ] | None = None,
        weights: str | None = None,
        alpha: float | None = None,
        tile: int | Sequence[int] | None = None,
        device: str | Sequence[str] | None = None,
        precision: Literal["auto", "fp32", "fp16", "bf16", "int8"] | None = None,
        streams: int | None = None,
        format: int | None = None,
        width: int | None = None,
        height: int | None = None,
        kernel: Literal["spline36", "lanczos", "bicubic", "area"] | None = None,
        linear: bool | None = None,
        overshoot: Literal["clip", "restore"] | None = None,
        alpha_clip: vs.VideoNode | None = None,
        backend: Literal[
            "auto",
            "torch",
            "openvino",
            "onnxruntime",
            "ncnn",
            "tensorrt",
            "directml",
            "webgpu",
        ] | None = None,
        report: bool | None = None,
        memory: int | None = None,
        reuse: Literal["off", "exact", "still"] | None = None,
        segment: int | None = None,
        threshold: float | None = None,
        gates: Literal["frame", "scene"] | None = None,
        halo: int | None = None,
        strength: float | None = None,
    ) -> vs.VideoNode: ...
