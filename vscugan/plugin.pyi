"""Type of ``core.cugan`` for editors and mypy: ``cugan: "Plugin" = core.cugan``."""

from collections.abc import Sequence
from typing import Literal, Protocol

import vapoursynth as vs

class Plugin(Protocol):
    def Upscale(
        self,
        clip: vs.VideoNode,
        scale: float = ...,
        noise: Literal["conservative", "no-denoise", "denoise1x", "denoise2x", "denoise3x", -1, 0, 1, 2, 3] = ...,
        model: Literal["se", "pro"] = ...,
        weights: str = ...,
        alpha: float = ...,
        width: int = ...,
        height: int = ...,
        kernel: Literal["spline36", "lanczos", "bicubic", "area"] = ...,
        linear: bool = ...,
        overshoot: Literal["clip", "restore"] = ...,
        alpha_clip: vs.VideoNode = ...,
        tile: int | Sequence[int] = ...,
        memory: int = ...,
        device: str | Sequence[str] = ...,
        backend: Literal["auto", "torch", "openvino", "onnxruntime", "tensorrt", "directml"] = ...,
        precision: Literal["auto", "fp32", "fp16", "bf16", "int8"] = ...,
        streams: int = ...,
        format: int = ...,
        report: bool = ...,
        reuse: Literal["off", "exact", "still"] = ...,
        segment: int = ...,
        threshold: float = ...,
        gates: Literal["frame", "scene"] = ...,
    ) -> vs.VideoNode: ...
