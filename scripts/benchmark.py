"""Our runtimes beside every peer, frame by frame in turn, in one run.

``benchmark.py [--sizes 320x180 ...] [--scales 2 4] [--rounds 3] [--only NAME ...]`` prints a table, appends to
docs/figures/speed.csv, and writes docs/figures/speed.md with a table for each CPU; ``--table`` only does that, and
``plots.py speed`` draws the rows. It needs ``pip install ".[benchmark]"``. Each contestant is a process of its own that
stays up and waits for its turn, so that libraries do not meet, and pays its start-up before the clock runs.
The peers' plugins are looked for in out/peers:

    pip install --no-deps --target out/peers vapoursynth-mlrt-ort vapoursynth-mlrt-ov vapoursynth-mlrt-ncnn
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import IO, Any

sys.path.append(str(Path(__file__).resolve().parent))
from contestants import CONTESTANTS, FRAMES_KEPT
from report import (
    FIGURES,
    ROOT,
    Record,
    decibels,
    describe_machine,
    machine_of,
    markdown,
    read_records,
    write_between,
    write_records,
)

PEERS = ROOT / "out" / "peers" / "vapoursynth" / "plugins"
ROWS = FIGURES / "speed.csv"
REPORT = FIGURES / "speed.md"
#: whom the others are compared with, in fp32
REFERENCE = "torch"

WARM_UP = 3


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


def compare(names: list[str], width: int, height: int, scale: int, rounds: int) -> list[Record]:
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


def table(rows: list[Record]) -> list[list[str]]:
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


def latest() -> dict[str, list[Record]]:
    """The newest row of each contestant, size and scale, by machine."""
    newest = {(machine_of(r), r["size"], r["scale"], r["contestant"]): r for r in read_records(ROWS)}
    machines: dict[str, list[Record]] = {}
    for key in sorted(newest, key=lambda k: (k[0], int(k[2]), int(k[1].split("x")[0]), list(CONTESTANTS).index(k[3]))):
        machines.setdefault(key[0], []).append(newest[key])
    return machines


def report() -> None:
    """Write a heading and a table for each machine into docs/figures/speed.md."""
    parts = []
    for machine, rows in latest().items():
        versions = ", ".join(f"{name} {rows[-1][name]}" for name in ("torch", "openvino", "onnxruntime", "ncnn"))
        parts.append(f"## {machine}\n\n{versions}\n\n{markdown(table(rows))}\n")
    write_between(REPORT, "speed", "\n".join(parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["320x180", "640x360", "1280x720"])
    parser.add_argument("--scales", nargs="+", type=int, default=[2, 4])
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, (FRAMES_KEPT - WARM_UP) // 2))
    parser.add_argument("--only", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS))
    parser.add_argument("--table", action="store_true", help="only write docs/figures/speed.md again")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    if arguments.worker:
        name, size, scale = arguments.worker
        width, height = map(int, size.split("x"))
        work(name, width, height, int(scale))
        return
    if not arguments.table:
        for scale in arguments.scales:
            for size in arguments.sizes:
                width, height = map(int, size.split("x"))
                rows = compare(arguments.only, width, height, scale, arguments.rounds)
                write_records(ROWS, rows, append=True)
                for line in table(rows):
                    print(*line, sep="\t", flush=True)
    report()


if __name__ == "__main__":
    main()
