"""Encode the demo clip through vspipe and x265, and draw source and result side by side."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

from vscugan.runtime.device import CPU

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out"
SCRIPT = ROOT / "examples" / "demo.vpy"
#: what the demo clip is tagged as, and its output with it
COLOUR = {"matrix": "bt709", "range": "limited"}
COMPARED_FRAME = 12


def encoder(target: Path) -> list[str]:
    """The command line that reads y4m from stdin: x265, else an ffmpeg with libx265."""
    if x265 := shutil.which("x265"):
        return [
            x265, "--y4m", "-", "--preset", "fast", "--crf", "18", "--colormatrix", COLOUR["matrix"],
            "--colorprim", COLOUR["matrix"], "--transfer", COLOUR["matrix"],
            "--range", COLOUR["range"], "--chromaloc", "0", "-o", str(target.with_suffix(".hevc")),
        ]  # fmt: skip
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        import imageio_ffmpeg

        ffmpeg = str(imageio_ffmpeg.get_ffmpeg_exe())
    return [
        ffmpeg, "-hide_banner", "-loglevel", "error", "-y", "-f", "yuv4mpegpipe", "-i", "-",
        "-c:v", "libx265", "-preset", "fast", "-crf", "18", "-colorspace", COLOUR["matrix"],
        "-color_primaries", COLOUR["matrix"], "-color_trc", COLOUR["matrix"], "-color_range", "tv",
        "-chroma_sample_location", "left", "-x265-params", "log-level=error", str(target),
    ]  # fmt: skip


def encode(target: Path) -> tuple[Path, float]:
    """Pipe the script's frames into the encoder; returns the file and the seconds it took."""
    vspipe = Path(sys.executable).with_name("vspipe")
    command = encoder(target)
    target = Path(command[-1])
    start = time.perf_counter()
    with subprocess.Popen([vspipe, "-c", "y4m", str(SCRIPT), "-"], stdout=subprocess.PIPE) as source:
        result = subprocess.run(command, stdin=source.stdout, check=False)
        assert source.stdout is not None
        source.stdout.close()  # an encoder that died must not leave vspipe writing
    if source.returncode or result.returncode:
        raise SystemExit(
            f"the demo failed: vspipe ended with {source.returncode}, the encoder with {result.returncode}"
        )
    return target, time.perf_counter() - start


def side_by_side(target: Path) -> int:
    """Draw source (enlarged by Spline36) and result of one frame; returns the clip's number of frames."""
    import numpy as np
    import vapoursynth as vs
    from PIL import Image

    namespace: dict[str, object] = {"__file__": str(SCRIPT)}
    with chdir(SCRIPT.parent):  # as vspipe does
        exec(compile(SCRIPT.read_text(encoding="utf-8"), SCRIPT, "exec"), namespace)
    source, result = namespace["source"], namespace["clip"]
    assert isinstance(source, vs.VideoNode)
    assert isinstance(result, vs.VideoNode)
    plain = source.resize.Spline36(result.width, result.height, format=vs.RGB24)
    ours = result.resize.Spline36(format=vs.RGB24)
    both = vs.core.std.StackHorizontal([plain, ours])
    with both.get_frame(COMPARED_FRAME) as frame:
        pixels = np.stack([np.asarray(frame[p]) for p in range(3)], axis=-1)
    Image.fromarray(pixels).save(target)
    return int(result.num_frames)


def what_computes() -> list[str]:
    """What computes by default here, and what would be faster, a line each."""
    from vscugan.engine.engine import Engine
    from vscugan.settings import validate

    engine = Engine(validate())
    report = engine.report()
    on_cpu = report["CuganDevice"] == "cpu"
    faster = ['reuse="still": what does not move is not computed again, about 4 times as fast on this clip']
    if on_cpu and importlib.util.find_spec("openvino"):
        from vscugan.runtime.openvino_runtime import adds_int8_exactly, native_precisions

        if "bf16" in native_precisions(CPU):
            faster.append('precision="bf16": 3.8 times as fast on CPUs with AMX, at 58 dB to fp32')
        if adds_int8_exactly():
            faster.append('precision="int8": 5 times as fast with AMX, about 2 with VNNI, at 45 dB to fp32 or better')
    elif on_cpu:
        faster.append("OpenVINO: 1.3 times as fast on x86-64 CPUs, pip install openvino onnx")
    if on_cpu:
        faster.append("a GPU: `vscugan doctor` lists those that are reached here")
    return [f"computed by {engine.summary}; faster here:", *(f"  {line}" for line in faster)]


def main() -> None:
    OUT.mkdir(exist_ok=True)
    path, seconds = encode(OUT / "demo.mkv")
    picture = OUT / "side_by_side.png"
    frames = side_by_side(picture)
    print(f"video:   {path} ({path.stat().st_size:,} bytes, {frames} frames, {frames / seconds:.2f} frames per second)")
    print(f"picture: {picture} (left: source by Spline36, right: Upscale)")
    print(*what_computes(), sep="\n")


if __name__ == "__main__":
    main()
