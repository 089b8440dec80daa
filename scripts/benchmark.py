"""Our runtimes beside every peer, frame by frame in turn, in one run.

``benchmark.py [--sizes 320x180 ...] [--scales 2 4] [--rounds 3] [--only NAME ...]`` prints a table, appends to
docs/speed.csv, and writes docs/speed.md with a table and a plot for each CPU; ``--draw`` only does that. It needs
``pip install ".[benchmark]"``. Each contestant is a process of its own that
stays up and waits for its turn, so that libraries do not meet, and pays its start-up before the clock runs.
The peers' plugins are looked for in out/peers:

    pip install --no-deps --target out/peers vapoursynth-mlrt-ort vapoursynth-mlrt-ov vapoursynth-mlrt-ncnn
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from report import array_of, decibels, markdown, write_between  # noqa: E402

CLIP = ROOT / "tests" / "data" / "sylvie_vn_640x360_crf23.mkv"
PEERS = ROOT / "out" / "peers" / "vapoursynth" / "plugins"
ROWS = ROOT / "docs" / "speed.csv"
REPORT = ROOT / "docs" / "speed.md"
NOISE = "conservative"
#: whom the others are compared with, in fp32
REFERENCE = "torch"

FRAMES_KEPT = 20
WARM_UP = 3

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
    told = vscugan.describe(clip)["precision"]
    if told != arguments.get("precision", "fp32"):
        raise RuntimeError(f"this CPU computes it in {told}")

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

    from vscugan.runtime.graph import network_model

    openvino: Any = importlib.import_module("vscugan.runtime.openvino_runtime").package()
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(core.read_model(network_model(weights_of(scale))), "CPU", options)
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

    from vscugan.models.registry import find
    from vscugan.models.weights import released_folder

    row = find(model="se", scale=scale, noise=NOISE)
    net = ncnn.Net()
    net.opt.num_threads = os.cpu_count() or 1
    for option in ("fp16_storage", "fp16_arithmetic", "fp16_packed", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    net.load_param(str(released_folder(row.package) / row.param))
    net.load_model(str(released_folder(row.package) / row.bin))

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

        from vscugan.runtime.graph import frame_model

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
    "torch": lambda w, h, s: ours(w, h, s, backend="torch"),
    "openvino, bf16": lambda w, h, s: ours(w, h, s, backend="openvino", precision="bf16"),
    "openvino, int8": lambda w, h, s: ours(w, h, s, backend="openvino", precision="int8"),
    "openvino, tile=256": lambda w, h, s: ours(w, h, s, backend="openvino", tile=256),
    "torch, tile=256": lambda w, h, s: ours(w, h, s, backend="torch", tile=256),
    "raw OpenVINO": raw_openvino,
    "plain torch": plain_torch,
    "ncnn": raw_ncnn,
    "mlrt-ort": mlrt("ort"),
    "mlrt-ov, f32": mlrt("ov", f32=True),
    "mlrt-ov": mlrt("ov"),
    "mlrt-ncnn": mlrt("ncnn"),
}


def peak_bytes() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def work(name: str, width: int, height: int, scale: int) -> None:
    """A contestant: writes one JSON line when it is ready, then one for each frame number that it is sent."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not be taken for an answer
    import numpy as np

    start = time.perf_counter()
    frame = CONTESTANTS[name](width, height, scale)
    frame(0)
    first = time.perf_counter() - start
    for n in range(1, WARM_UP):  # the host's threads take turns, and a library prepares itself in each
        frame(n)
    picture = getattr(frame, "picture", frame)(0)
    with tempfile.NamedTemporaryFile(suffix=".npy", delete=False) as file:
        np.save(file, np.clip(picture, 0, 1).astype(np.float16))
    print(json.dumps({"first_s": first, "picture": file.name}), file=out)
    for line in sys.stdin:
        n = int(line)
        frame(n - 1)  # an encode has no pauses: the first frame after one is slower, and not counted
        getattr(frame, "prepare", lambda _: None)(n)
        start = time.perf_counter()
        frame(n)
        print(json.dumps({"s": time.perf_counter() - start, "peak": peak_bytes()}), file=out)


class Contestant:
    """A worker process and what it has answered."""

    def __init__(self, name: str, width: int, height: int, scale: int) -> None:
        self.name, self.seconds, self.peak = name, list[float](), 0
        environment = dict(os.environ)
        if name.startswith("mlrt"):
            environment["VAPOURSYNTH_EXTRA_PLUGIN_PATH"] = str(PEERS)
        command = [sys.executable, "-P", __file__, "--worker", name, f"{width}x{height}", str(scale)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.ready = self._answer()
        self._process.send_signal(signal.SIGSTOP)

    def _answer(self) -> dict[str, Any]:
        out: IO[str] | None = self._process.stdout
        assert out is not None
        line = out.readline()
        if not line:
            assert self._process.stderr is not None
            last = self._process.stderr.read().strip().splitlines()[-1:]
            raise RuntimeError(last[0] if last else "it ended without a word")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def turn(self, n: int) -> None:
        """Compute frame ``n``, while the other contestants are stopped: some threads spin when they wait."""
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write(f"{n}\n")
        self._process.stdin.flush()
        answer = self._answer()
        self._process.send_signal(signal.SIGSTOP)
        self.seconds.append(answer["s"])
        self.peak = answer["peak"]

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def compare(names: list[str], width: int, height: int, scale: int, rounds: int) -> list[dict[str, Any]]:
    """One row for each contestant, frames computed in turn."""
    import numpy as np

    contestants: list[Contestant] = []
    try:
        for name in names:
            try:
                contestants.append(Contestant(name, width, height, scale))
            except RuntimeError as error:
                print(f"absent: {name} ({error})")
        for turn in range(rounds):
            n = WARM_UP + 2 * turn + 1
            first = turn % len(contestants)  # nobody always follows the same one
            for contestant in contestants[first:] + contestants[:first]:
                contestant.turn(n)
        pictures = {c.name: np.load(c.ready["picture"]).astype(np.float32) for c in contestants}
    finally:  # those who wait are stopped, and would stay so
        for contestant in contestants:
            contestant.end()
            Path(contestant.ready["picture"]).unlink()
    exact = pictures.get("raw OpenVINO")
    machine, rows = describe_machine(), []
    for contestant in contestants:
        seconds = median(contestant.seconds)
        rows.append(
            machine
            | {
                "size": f"{width}x{height}",
                "scale": scale,
                "contestant": contestant.name,
                "seconds": f"{seconds:.4f}",
                "fps": f"{1 / seconds:.3f}",
                "first_s": f"{contestant.ready['first_s']:.2f}",
                "peak_MiB": contestant.peak >> 20,
                "psnr_dB": "" if exact is None else f"{decibels(pictures[contestant.name], exact):.1f}",
            }
        )
    return rows


#: the widest instructions that decide on speed, by what Linux calls them
INSTRUCTIONS = {"amx_tile": "AMX", "avx512_vnni": "AVX-512 VNNI", "avx512f": "AVX-512", "avx_vnni": "AVX2 VNNI"}


def describe_machine() -> dict[str, Any]:
    """What the rows of one run have in common, its time and commit first."""

    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return ""

    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    cpu = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in info.splitlines())}
    has = cpu["flags"].split()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": commit.stdout.strip(),
        "cpu": cpu["model name"],
        "instructions": next((words for flag, words in INSTRUCTIONS.items() if flag in has), "AVX2"),
        "threads": os.cpu_count(),
        **{name: installed(name) for name in ("vscugan", "torch", "openvino", "onnxruntime", "ncnn")},
    }


def table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """A head and one row for each contestant; speed is relative to our torch in the same run of the same case."""
    head = ["in, scale", "contestant", "s a frame", "fps", "speed, our torch = 1", "first frame, s"]
    lines = [[*head, "peak, MiB", "PSNR, dB"]]
    for row in rows:
        run = [r for r in rows if all(r[key] == row[key] for key in ("date", "commit", "size", "scale"))]
        base = next((float(r["seconds"]) for r in run if r["contestant"] == REFERENCE), None)
        ratio = f"{base / float(row['seconds']):.2f}" if base else ""
        case = [f"{row['size']}, {row['scale']}x", row["contestant"], f"{float(row['seconds']):.3f}", row["fps"]]
        lines.append([*case, ratio, row["first_s"], str(row["peak_MiB"]), row["psnr_dB"]])
    return lines


def machine_of(row: dict[str, Any]) -> str:
    """Rows of different machines never share a table."""
    return f"{row['cpu']}, {row['instructions']}, {row['threads']} threads"


def latest() -> dict[str, list[dict[str, Any]]]:
    """The newest row of each contestant, size and scale, by machine."""
    with ROWS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    newest = {(machine_of(r), r["size"], r["scale"], r["contestant"]): r for r in rows}
    machines: dict[str, list[dict[str, Any]]] = {}
    for key in sorted(newest, key=lambda k: (k[0], int(k[2]), int(k[1].split("x")[0]), list(CONTESTANTS).index(k[3]))):
        machines.setdefault(key[0], []).append(newest[key])
    return machines


def report() -> None:
    """Write a heading, a plot and a table for each machine into docs/speed.md."""
    parts = []
    for machine, rows in latest().items():
        plot = REPORT.with_name(f"speed-{re.sub('[^a-z0-9]+', '-', machine.lower()).strip('-')}.svg")
        draw(rows, plot)
        versions = ", ".join(f"{name} {rows[-1][name]}" for name in ("torch", "openvino", "onnxruntime", "ncnn"))
        parts.append(f"## {machine}\n\n{versions}\n\n![frames per second]({plot.name})\n\n{markdown(table(rows))}\n")
    write_between(REPORT, "speed", "\n".join(parts))


def draw(rows: list[dict[str, Any]], plot: Path) -> None:
    """Frames a second of one machine, by scale and size."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "vscugan"
    from matplotlib import pyplot

    cases = list(dict.fromkeys((r["scale"], r["size"]) for r in rows))
    names = [n for n in CONTESTANTS if any(r["contestant"] == n for r in rows)]
    figure, axes = pyplot.subplots(1, len(cases), figsize=(3 * len(cases), 0.32 * len(names) + 1), sharey=True)
    for axis, (scale, size) in zip(axes if len(cases) > 1 else [axes], cases, strict=True):
        fps = {r["contestant"]: float(r["fps"]) for r in rows if (r["size"], r["scale"]) == (size, scale)}
        values = [fps.get(name, 0.0) for name in names[::-1]]
        own = [name.split(",")[0] in ("openvino", "onnxruntime", "torch") for name in names[::-1]]
        axis.barh(names[::-1], values, color=["#2a6f97" if o else "#b0b0b0" for o in own])
        axis.set_title(f"{size}, {scale}x")
        axis.set_xlabel("frames per second")
    figure.tight_layout()
    figure.savefig(plot, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["320x180", "640x360", "1280x720"])
    parser.add_argument("--scales", nargs="+", type=int, default=[2, 4])
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, (FRAMES_KEPT - WARM_UP) // 2))
    parser.add_argument("--only", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS))
    parser.add_argument("--draw", action="store_true", help="only write docs/speed.md again")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    if arguments.worker:
        name, size, scale = arguments.worker
        width, height = map(int, size.split("x"))
        work(name, width, height, int(scale))
        return
    if not arguments.draw:
        for scale in arguments.scales:
            for size in arguments.sizes:
                width, height = map(int, size.split("x"))
                rows = compare(arguments.only, width, height, scale, arguments.rounds)
                new = not ROWS.exists()
                with ROWS.open("a", encoding="utf-8", newline="") as file:
                    writer = csv.DictWriter(file, fieldnames=list(rows[0]))
                    if new:
                        writer.writeheader()
                    writer.writerows(rows)
                for line in table(rows):
                    print(*line, sep="\t", flush=True)
    report()


if __name__ == "__main__":
    main()
