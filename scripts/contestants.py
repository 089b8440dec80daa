"""Who takes part in the benchmark: our runtimes, bare libraries, the peers' plugins; each a function of a frame."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from report import array_of  # noqa: E402

CLIP = ROOT / "tests" / "data" / "sylvie_vn_640x360_crf23.mkv"
NOISE = "conservative"
FRAMES_KEPT = 20

Frames = Callable[[int], Any]  # frame number -> RGB (3, H, W) in 0..1


def source(width: int, height: int, rgb: bool) -> Any:
    """The real clip at a size, decoded beforehand so that no decoder is measured."""
    import vapoursynth as vs

    clip = vs.core.bs.VideoSource(str(CLIP), cachemode=0).resize.Spline36(width, height)
    if rgb:  # clamped, as Upscale does by itself
        clip = clip.resize.Spline36(format=vs.RGBS).std.Expr("x 0 max 1 min")
    vs.core.std.SetVideoCache(clip, mode=1, fixedsize=1, maxsize=FRAMES_KEPT)
    for n in range(FRAMES_KEPT):
        clip.get_frame(n).close()
    return clip


def ours(width: int, height: int, scale: int, **arguments: Any) -> Frames:
    """core.cugan.Upscale on the YUV clip, as a script would."""
    import vapoursynth as vs

    import vscugan

    clip, exact = (
        vs.core.cugan.Upscale(source(width, height, rgb), scale=scale, noise=NOISE, reuse="off", report=1, **arguments)
        for rgb in (False, True)
    )
    precision = vscugan.describe(clip)["precision"]
    if precision != arguments.get("precision", "fp32"):
        raise RuntimeError(f"this CPU computes it in {precision}")

    def frame(n: int) -> Any:
        with clip.get_frame(n) as f:
            return f.props, f.width

    def picture(n: int) -> Any:
        with exact.get_frame(n) as f:  # the same engine on floats: what is compared is not the output's format
            return array_of(f)

    frame.picture = picture  # type: ignore[attr-defined]
    return frame


def weights_of(scale: int) -> Any:
    from vscugan.models.registry import find
    from vscugan.models.weights import load_released

    return load_released(find(model="se", scale=scale, noise=NOISE))


def ready(width: int, height: int, scale: int, run: Callable[[Any], Any]) -> Frames:
    """A bare library on padded tensors that are ready; ``run`` returns (3, scale*H, scale*W)."""
    import numpy as np
    import torch

    edge = weights_of(scale).architecture.pad_px
    clip = source(width, height, True)
    tensors = {}

    def padded(n: int) -> Any:
        if n not in tensors:
            with clip.get_frame(n) as f:
                x = torch.from_numpy(array_of(f))[None]
            tensors[n] = np.ascontiguousarray(torch.nn.functional.pad(x, [edge] * 4, mode="reflect").numpy())
        return tensors[n]

    def frame(n: int) -> Any:
        return run(padded(n))

    frame.prepare = padded  # type: ignore[attr-defined]
    return frame


def raw_openvino(width: int, height: int, scale: int) -> Frames:
    import numpy as np

    from vscugan.runtime.graph import network_graph
    from vscugan.runtime.onnx_writer import Writer

    openvino: Any = importlib.import_module("vscugan.runtime.openvino_runtime").package()
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(core.read_model(network_graph(Writer(weights_of(scale)))), "CPU", options)
    request = request.create_infer_request()
    one = np.ones((1, 1, 1, 1), np.float32)

    def run(x: Any) -> Any:
        request.set_tensor("input", openvino.Tensor(x, shared_memory=True))
        request.set_tensor("alpha", openvino.Tensor(one, shared_memory=True))
        request.infer()
        return request.get_tensor("output").data[0]

    return ready(width, height, scale, run)


def raw_ncnn(width: int, height: int, scale: int) -> Frames:
    import ncnn
    import numpy as np

    from vscugan.models.registry import find, released_folder

    row = find(model="se", scale=scale, noise=NOISE)
    net = ncnn.Net()
    net.opt.num_threads = os.cpu_count() or 1
    for option in ("fp16_storage", "fp16_arithmetic", "fp16_packed", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    net.load_param(str(released_folder(row) / row.param))
    net.load_model(str(released_folder(row) / row.file))

    def run(x: Any) -> Any:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(x[0]))
        out = np.array(extractor.extract("out0")[1])
        if scale == 4:  # the file ends before the enlarged input is added
            edge = (x.shape[2] - height) // 2
            out = out + x[0, :, edge:-edge, edge:-edge].repeat(4, axis=1).repeat(4, axis=2)
        return out

    return ready(width, height, scale, run)


def plain_torch(width: int, height: int, scale: int) -> Frames:
    """The official network as a plain NCHW eager module."""
    import torch

    sys.path.append(str(ROOT / "tests"))
    from support.plain_upcunet import plain_upcunet

    tensors = weights_of(scale).tensors
    clip = source(width, height, True)

    def frame(n: int) -> Any:
        with clip.get_frame(n) as f, torch.inference_mode():
            x = torch.from_numpy(array_of(f))[None]
            return plain_upcunet(tensors, x, scale=scale, pro=False)[0].numpy()

    return frame


def mlrt(plugin: str, **options: Any) -> Callable[[int, int, int], Frames]:
    """A peer's plugin on the ONNX file that we export, on ready RGBS frames."""

    def make(width: int, height: int, scale: int) -> Frames:
        import vapoursynth as vs

        from vscugan.runtime.onnx_writer import frame_model

        with tempfile.NamedTemporaryFile(suffix=".onnx", delete=False) as file:
            file.write(frame_model(weights_of(scale)))
        if plugin == "ov" and options.pop("f32", False):
            options["config"] = lambda: {"INFERENCE_PRECISION_HINT": "f32"}
        clip = getattr(vs.core, plugin).Model([source(width, height, True)], network_path=file.name, **options)

        def frame(n: int) -> Any:
            with clip.get_frame(n) as f:
                return array_of(f)

        return frame

    return make


CONTESTANTS: dict[str, Callable[[int, int, int], Frames]] = {
    "openvino": lambda w, h, s: ours(w, h, s, backend="openvino"),
    "onnxruntime": lambda w, h, s: ours(w, h, s, backend="onnxruntime"),
    "ncnn": lambda w, h, s: ours(w, h, s, backend="ncnn"),
    "torch": lambda w, h, s: ours(w, h, s, backend="torch"),
    "openvino, bf16": lambda w, h, s: ours(w, h, s, backend="openvino", precision="bf16"),
    "openvino, int8": lambda w, h, s: ours(w, h, s, backend="openvino", precision="int8"),
    "openvino, tile=256": lambda w, h, s: ours(w, h, s, backend="openvino", tile=256),
    "torch, tile=256": lambda w, h, s: ours(w, h, s, backend="torch", tile=256),
    "raw OpenVINO": raw_openvino,
    "plain torch": plain_torch,
    "raw ncnn": raw_ncnn,
    "mlrt-ort": mlrt("ort"),
    "mlrt-ov, f32": mlrt("ov", f32=True),
    "mlrt-ov": mlrt("ov"),
    "mlrt-ncnn": mlrt("ncnn"),
}
