"""vs-mlrt's functions: each of their arguments in Upscale's, what is refused, and what the log says."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import vapoursynth as vs
from support.clips import MAKE, equal, message

import vscugan
from vscugan import vsmlrt
from vscugan.runtime.backends import backend_row
from vscugan.vsmlrt import CUGAN, Backend, RealESRGAN, RealESRGANModel, Waifu2x, Waifu2xModel
from vscugan.vsmlrt_backends import COUNTERPARTS

#: name, and default as text, of vs-mlrt's arguments (vsmlrt.py 3.22.37); that of ``backend`` is ours
SIGNATURES: dict[Callable[..., vs.VideoNode], dict[str, str]] = {
    CUGAN: {
        "clip": "", "noise": "-1", "scale": "2", "tiles": "None", "tilesize": "None", "overlap": "None",
        "backend": "None", "alpha": "1.0", "version": "1", "conformance": "True",
    },
    Waifu2x: {
        "clip": "", "noise": "-1", "scale": "2", "tiles": "None", "tilesize": "None", "overlap": "None",
        "model": "6", "backend": "None", "preprocess": "True",
    },
    RealESRGAN: {
        "clip": "", "tiles": "None", "tilesize": "None", "overlap": "None", "model": "0", "backend": "None",
        "scale": "None",
    },
}  # fmt: skip
Calls = list[dict[str, Any]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What ``upscale`` is called with, None left out; it gives back the clip."""
    made: Calls = []

    def record(clip: vs.VideoNode, **arguments: Any) -> vs.VideoNode:
        made.append({name: value for name, value in arguments.items() if value is not None})
        return clip

    monkeypatch.setattr(vsmlrt, "upscale", record)
    return made


@pytest.fixture
def lines(core: Any) -> Any:
    """What these functions write to the core's log."""
    written: list[str] = []

    def keep(_: int, text: str) -> None:
        if text.startswith("vscugan."):
            written.append(text)

    handler = core.add_log_handler(keep)
    yield written
    core.remove_log_handler(handler)


@pytest.fixture
def clip(core: Any) -> vs.VideoNode:
    node = core.std.BlankClip(format=vs.RGBS, width=640, height=360, length=1)
    assert isinstance(node, vs.VideoNode)
    return node


@pytest.mark.parametrize("function", SIGNATURES)
def test_arguments_have_the_names_order_and_defaults_of_vs_mlrt(function: Callable[..., vs.VideoNode]) -> None:
    parameters = inspect.signature(function).parameters.values()
    found = {p.name: "" if p.default is p.empty else f"{p.default}" for p in parameters}
    assert list(found.items()) == list(SIGNATURES[function].items())
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)


@pytest.mark.parametrize("format", [vs.RGBS, vs.RGBH, vs.YUV420P8])
def test_the_picture_is_that_of_upscale(core: Any, art_clip: MAKE, format: int) -> None:
    source = art_clip(64, 48)
    if format != vs.RGBS:
        source = core.resize.Bicubic(source, format=format, **({"matrix": 1} if format == vs.YUV420P8 else {}))
    made = CUGAN(source, 0, 2, (2, 1), None, 4, Backend.ORT_CPU(), 0.9)
    expected = vscugan.upscale(source, noise="conservative", scale=2, alpha=0.9, backend="onnxruntime", tile=[32, 0])
    assert made.format.id == format
    assert equal(made.get_frame(0), expected.get_frame(0))


def test_cugan_is_an_attribute_of_the_package_that_loads_nothing_before() -> None:
    assert vscugan.CUGAN is CUGAN
    assert "CUGAN" in vscugan.__all__
    code = "import sys, vscugan.vsmlrt; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {"noise": -1, "scale": 2, "alpha": 1.0, "model": "se"}),
        ({"noise": 3, "scale": 4}, {"noise": 3, "scale": 4, "alpha": 1.0, "model": "se"}),
        ({"alpha": 0.8, "version": 2}, {"noise": -1, "scale": 2, "alpha": 0.8, "model": "pro"}),
        ({"conformance": False}, {"noise": -1, "scale": 2, "alpha": 1.0, "model": "se"}),
    ],
)
def test_arguments_of_cugan(clip: vs.VideoNode, calls: Calls, arguments: Any, expected: Any) -> None:
    CUGAN(clip, **arguments)
    assert calls == [expected]


@pytest.mark.parametrize(
    ("arguments", "tile"),
    [
        ({"tiles": 1}, [0, 0]),
        ({"tiles": 2}, [320, 180]),
        ({"tiles": 3}, [214, 120]),
        ({"tiles": (4, 1)}, [160, 0]),
        ({"tiles": [1, 2]}, [0, 180]),
        ({"tilesize": 128}, [128, 128]),
        ({"tilesize": (256, 64)}, [256, 64]),
        ({"tiles": 2, "tilesize": 100}, [100, 100]),  # tilesize is taken first, as by vs-mlrt
    ],
)
def test_tiles_are_sizes_here(clip: vs.VideoNode, calls: Calls, arguments: Any, tile: list[int]) -> None:
    CUGAN(clip, **arguments)
    Waifu2x(clip, **arguments)
    RealESRGAN(clip, model=2, **arguments)
    assert [call["tile"] for call in calls] == [tile] * 3


def test_an_overlap_is_logged(clip: vs.VideoNode, calls: Calls, lines: list[str]) -> None:
    CUGAN(clip, overlap=8)
    Waifu2x(clip, overlap=(4, 4))
    RealESRGAN(clip, model=2, overlap=0)
    text = "overlap has no effect: tiles give the picture of the whole frame without one"
    assert lines == [f"vscugan.{name}: {text}" for name in ("CUGAN", "Waifu2x", "RealESRGAN")]


@pytest.mark.parametrize(
    ("model", "name"), [(6, "waifu2x"), (Waifu2xModel.upconv_7_photo, "waifu2x-photo"), (3, "waifu2x-anime")]
)
def test_arguments_of_waifu2x(clip: vs.VideoNode, calls: Calls, model: int, name: str) -> None:
    Waifu2x(clip, 1, 1, model=model, preprocess=False)
    assert calls == [{"noise": 1, "scale": 1, "model": name}]


def test_arguments_of_realesrgan(clip: vs.VideoNode, calls: Calls, lines: list[str]) -> None:
    RealESRGAN(clip, model=RealESRGANModel.animevideov3)
    vsmlrt.RealESRGANv2(clip, model=vsmlrt.RealESRGANv2Model.animevideov3, scale=4)
    assert calls == [{"scale": 4, "model": "realesrgan-animevideo"}] * 2
    assert lines == []
    RealESRGAN(clip, model=2, scale=1.5)
    assert calls[2]["scale"] == 1.5
    assert lines == [
        "vscugan.RealESRGAN: scale=1.5 is computed by the networks of that size; vs-mlrt shrinks the result of 4"
    ]


def test_what_is_refused(clip: vs.VideoNode) -> None:
    pair = "got 0; use one number, (width, height), or leave it out"
    backends = ", ".join(f"Backend.{name}()" for name in COUNTERPARTS if name != "NCNN_VK")
    for call, text in (
        (
            lambda: CUGAN(clip, version=2, conformance=False),
            "CUGAN: conformance must be True with version=2, got False; leave it out",
        ),
        (
            lambda: CUGAN(clip, version=3),  # type: ignore[arg-type]
            "CUGAN: version must be 1 (se) or 2 (pro), got 3; vscugan models lists what is here",
        ),
        (
            lambda: CUGAN(clip, tiles=0),
            f"CUGAN: tiles must be one or two numbers of at least 1 along each axis, {pair}",
        ),
        (
            lambda: CUGAN(clip, tilesize=(16, 64)),
            "CUGAN: tilesize must be one or two numbers of at least 32 px, got (16, 64); "
            "use one number, (width, height), or leave it out",
        ),
        (
            lambda: CUGAN(clip, tilesize=(32, 32, 32)),
            "CUGAN: tilesize must be one or two numbers of at least 32 px, got (32, 32, 32); "
            "use one number, (width, height), or leave it out",
        ),
        (
            lambda: CUGAN(clip, tilesize="64"),  # type: ignore[arg-type]
            "CUGAN: tilesize must be one or two numbers of at least 32 px, got 64; "
            "use one number, (width, height), or leave it out",
        ),
        (
            lambda: CUGAN(clip, tilesize=64.0),  # type: ignore[arg-type]
            "CUGAN: tilesize must be one or two numbers of at least 32 px, got 64.0; "
            "use one number, (width, height), or leave it out",
        ),
        (
            lambda: CUGAN(clip, tiles=(None, 2)),  # type: ignore[arg-type]
            "CUGAN: tiles must be one or two numbers of at least 1 along each axis, got (None, 2); "
            "use one number, (width, height), or leave it out",
        ),
        (
            lambda: CUGAN(clip, version=[1]),  # type: ignore[arg-type]
            "CUGAN: version must be 1 (se) or 2 (pro), got [1]; vscugan models lists what is here",
        ),
        (
            lambda: CUGAN(clip, tiles=(2, 12)),
            "CUGAN: tiles must leave tiles of at least 32 px, got (2, 12) for 640x360 px; use fewer, or leave it out",
        ),
        (
            lambda: CUGAN(clip, backend=Backend.MIGX(fp16=True)),
            f"CUGAN: backend must be {backends} or Backend.NCNN_VK(), or a name that Upscale takes, got MIGX; "
            "leave it out for the fastest that is here",
        ),
        (
            lambda: CUGAN(clip, backend=0),
            f"CUGAN: backend must be {backends} or Backend.NCNN_VK(), or a name that Upscale takes, got int; "
            "leave it out for the fastest that is here",
        ),
        (
            lambda: Waifu2x(clip, model=Waifu2xModel.swin_unet_art),
            "Waifu2x: model must be 3 (upconv_7_anime_style_art_rgb), 4 (upconv_7_photo) or 6 (cunet), got 7; "
            "vscugan models lists what is here",
        ),
        (
            lambda: RealESRGAN(clip),
            "RealESRGAN: model must be 2 (animevideov3), got 0; vscugan models lists what is here",
        ),
    ):
        assert message(call) == f"vscugan.{text}"


def test_what_upscale_refuses_is_said_in_its_words(core: Any, clip: vs.VideoNode) -> None:
    assert message(lambda: CUGAN("clip", tiles=2)) == (
        "cugan.Upscale: clip must be a video node, got str; hand over the video's node"
    )
    assert message(lambda: CUGAN(clip, 1, 3)) == (
        "cugan.Upscale: noise=denoise1x exists only for scale=2, got scale=3; use conservative, no-denoise or denoise3x"
    )


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        (None, {}),
        ("torch", {"backend": "torch"}),
        (Backend.NCNN_VK, {"backend": "ncnn", "device": "gpu", "precision": "fp32"}),  # as vs-mlrt takes it
        (Backend.OV_CPU(), {"backend": "openvino", "device": "cpu", "precision": "fp32"}),
        (Backend.OV_CPU(bf16=True), {"backend": "openvino", "device": "cpu", "precision": "bf16"}),
        (Backend.OV_CPU(fp16=True, num_streams=2),
         {"backend": "openvino", "device": "cpu", "precision": "fp16", "streams": 2}),
        (Backend.OV_GPU(device_id=1), {"backend": "openvino", "device": "xpu:1", "precision": "fp32"}),
        (Backend.ORT_CPU(verbosity=3), {"backend": "onnxruntime", "device": "cpu", "precision": "fp32"}),
        (Backend.ORT_CUDA(), {"backend": "onnxruntime", "device": "cuda:0", "precision": "fp32"}),
        (Backend.ORT_DML(), {"backend": "directml", "device": "auto", "precision": "fp32"}),
        (Backend.TRT(fp16=True, device_id=1, num_streams=3),
         {"backend": "tensorrt", "device": "cuda:1", "precision": "fp16", "streams": 3}),
        (Backend.TRT(force_fp16=True, output_format=1),
         {"backend": "tensorrt", "device": "cuda:0", "precision": "fp16", "format": vs.RGBH}),
        (Backend.TRT_RTX(log=False), {"backend": "tensorrt", "device": "cuda:0", "precision": "fp32"}),
        (Backend.NCNN_VK(fp16=True), {"backend": "ncnn", "device": "gpu", "precision": "fp16"}),
    ],
)  # fmt: skip
def test_backends(clip: vs.VideoNode, calls: Calls, lines: list[str], backend: Any, expected: Any) -> None:
    CUGAN(clip, backend=backend)
    Waifu2x(clip, backend=backend)
    RealESRGAN(clip, model=2, backend=backend)
    assert [{k: v for k, v in call.items() if k not in ("noise", "scale", "alpha", "model")} for call in calls] == (
        [expected] * 3
    )
    assert lines == []


def test_every_counterpart_is_a_backend_here_that_has_the_device() -> None:
    for name, counterpart in COUNTERPARTS.items():
        assert hasattr(Backend, name)
        assert counterpart.device in (*backend_row(counterpart.backend).devices, "auto"), name


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        (Backend.ORT_CUDA(fp16=True), ["backend=onnxruntime has no fp16 here; the fastest that has it is taken"]),
        (Backend.TRT(bf16=True), ["backend=tensorrt has no bf16 here; the fastest that has it is taken"]),
        (Backend.TRT(workspace=128, use_cuda_graph=True),
         ["use_cuda_graph, workspace of Backend.TRT has no effect here"]),
        (Backend.OV_CPU(num_streams="AUTO"), ["num_streams of Backend.OV_CPU has no effect here"]),
        (Backend.NCNN_VK(device_id=1), ["device_id=1 is gpu:1, in the order that vscugan doctor lists"]),
        (Backend.ORT_DML(device_id=2), ["device_id of Backend.ORT_DML has no effect here"]),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_logged(
    clip: vs.VideoNode, calls: Calls, lines: list[str], backend: Any, expected: list[str]
) -> None:
    CUGAN(clip, backend=backend)
    assert lines == [f"vscugan.CUGAN: {text}" for text in expected]
    assert calls[0]["backend"] == ("auto" if "fastest" in expected[0] else COUNTERPARTS[type(backend).__name__].backend)


@dataclass
class TRT:
    """The shape of vs-mlrt's own."""

    max_shapes: tuple[int, int] | None = None
    fp16: bool = False
    device_id: int = 0
    workspace: int | None = None
    num_streams: int = 1
    log: bool = True
    custom_args: list[str] = field(default_factory=list)
    _channels: int = field(init=False, repr=False, compare=False)
    supports_onnx_serialization: bool = False


def test_backends_of_vs_mlrt_are_known_by_the_name_of_their_class(
    clip: vs.VideoNode, calls: Calls, lines: list[str]
) -> None:
    CUGAN(clip, backend=TRT())
    CUGAN(clip, backend=TRT(fp16=True, num_streams=2, log=False))
    CUGAN(clip, backend=TRT(workspace=64, custom_args=["--best"]))
    assert [(call["precision"], call.get("streams")) for call in calls] == [("fp32", None), ("fp16", 2), ("fp32", None)]
    assert lines == ["vscugan.CUGAN: custom_args, workspace of Backend.TRT has no effect here"]


def test_a_gpu_of_vulkan_has_the_number_that_is_given(clip: vs.VideoNode, calls: Calls) -> None:
    CUGAN(clip, backend=Backend.NCNN_VK(device_id=2))
    assert calls[0]["device"] == "gpu:2"


def test_a_backend_may_be_filled_in_later(clip: vs.VideoNode, calls: Calls) -> None:
    backend = vsmlrt.BackendV2.TRT()
    backend.device_id, backend.fp16 = 1, True
    CUGAN(clip, backend=backend)
    assert (calls[0]["device"], calls[0]["precision"]) == ("cuda:1", "fp16")
