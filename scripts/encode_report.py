"""Write docs/figures/encode.md: ``encode_report.py [kept speed estimate]``, all three without a name.

What is kept of every container fixture, what the pipeline costs beside its parts, and how good an estimate is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import write_table

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs" / "figures" / "encode.md"
SAMPLE = ROOT / "tests" / "data" / "sylvie_vn_640x360_crf23.mkv"
CODEC = "x264"
ARGUMENTS = ["--preset", "veryfast", "--crf", "18"]
TURNS, FRAMES = 3, 48
sys.path.append(str(ROOT / "tests"))


def kept(folder: Path) -> list[list[str]]:
    """A row for each fixture: how many facts its source holds, and how many of them the result."""
    from support import container_files, media, media_facts

    script = folder / "resize.vpy"
    script.write_text(media.RESIZE)
    rows = [["fixture", "container", "facts", "kept", ""]]
    for what, make in container_files.FIXTURES:
        place = folder / make.__name__
        place.mkdir()
        source = make(place)
        result = place / f"result{source.suffix}"
        encoder = "x265" if make is container_files.hdr10 else "x264"
        argv = ("encode", source, "-o", result, "--script", script, "--encoder", encoder, "--", "--preset", "medium")
        subprocess.run(media.command(*argv), check=True, stdout=subprocess.DEVNULL)
        count, lost = media_facts.compare(source, result)
        rows.append([what, source.suffix[1:], f"{count}", f"{count - len(lost)}", f"{1 - len(lost) / count:.0%}"])
    return rows


def _upscaled(frames: int) -> float:
    """Seconds a frame of decoding and upscaling alone, the model loaded."""
    import vapoursynth as vs

    clip = vs.core.bs.VideoSource(str(SAMPLE), cachemode=0)
    result = vs.core.cugan.Upscale(clip)[1 : frames + 1]
    result.get_frame(0).close()
    start = time.perf_counter()
    for frame in result.frames(close=True):
        frame.close()
    return (time.perf_counter() - start) / frames


def _encoded(frames: int, folder: Path) -> float:
    """Seconds a frame of the encoder alone, from y4m that is on the disk already."""
    from vscugan.encode.encoders.command_line import command
    from vscugan.encode.encoders.programs import find_encoder
    from vscugan.encode.encoders.stream_format import stream_format_of
    from vscugan.encode.encoders.y4m import FRAME, header, planes
    from vscugan.encode.job.encode_job import EncodeJob
    from vscugan.encode.source.filter_graph import build
    from vscugan.encode.source.source import open_source

    source = open_source(SAMPLE, lambda percent: None, False)
    script = folder / "double.vpy"
    script.write_text("clip.resize.Spline36(clip.width * 2, clip.height * 2, format=clip.format.replace("
                      "bits_per_sample=10).id).set_output()\n")  # fmt: skip
    graph = build(EncodeJob(source=str(SAMPLE), output="", script=str(script)), source)
    with graph.clip.get_frame(0) as frame:
        stream_format = stream_format_of(graph.clip, frame.props, graph.rate)
    with open(folder / "ready.y4m", "wb") as file:
        file.write(header(stream_format))
        for frame in graph.clip[:frames].frames(close=True):
            file.write(FRAME)
            for plane in planes(frame):
                file.write(plane)
    call = command(find_encoder(CODEC), ARGUMENTS, stream_format, folder / "alone.mkv")
    start = time.perf_counter()
    with open(folder / "ready.y4m", "rb") as file:
        subprocess.run(call, stdin=file, check=True)
    return (time.perf_counter() - start) / frames


def _whole(frames: int, folder: Path) -> float:
    """Seconds a frame of the encoding part of ``vscugan encode``, by its certificate."""
    from support import media

    cut = folder / "cut.mkv"
    media.ffmpeg("-i", SAMPLE, "-map", "0:v", "-c", "copy", "-frames:v", frames, cut)
    result = folder / f"whole{time.monotonic_ns()}.mkv"
    argv = ("encode", cut, "-o", result, "--chunk", 1, "--encoder", CODEC, "--", *ARGUMENTS)
    subprocess.run(media.command(*argv), check=True, stdout=subprocess.DEVNULL)
    certificate = json.loads(Path(f"{result}.cugan.json").read_text(encoding="utf-8"))
    return float(certificate["timings"]["encoding_s"]) / int(certificate["frames"])


def speed(folder: Path) -> list[list[str]]:
    """Rows of medians over turns that alternate, in s a frame."""
    times: dict[str, list[float]] = {"upscale": [], "encoder": [], "whole": []}
    for _ in range(TURNS):
        times["upscale"].append(_upscaled(FRAMES))
        times["encoder"].append(_encoded(FRAMES, folder))
        times["whole"].append(_whole(FRAMES, folder))
    median = {name: statistics.median(values) for name, values in times.items()}
    slowest = max(median["upscale"], median["encoder"])
    return [
        ["", "s"],
        ["decode and upscale alone", f"{median['upscale']:.4f}"],
        [f"encoder alone ({CODEC} {' '.join(ARGUMENTS)})", f"{median['encoder']:.4f}"],
        ["`vscugan encode`, chunks checked and hashed", f"{median['whole']:.4f}"],
        ["over the slowest part", f"{median['whole'] / slowest - 1:+.1%}"],
    ]


def estimate(folder: Path) -> list[list[str]]:
    """Rows of what a dry run has estimated, and what the run took."""
    from support import media

    result = folder / "estimated.mkv"
    argv = ("encode", SAMPLE, "-o", result, "--json", "--encoder", CODEC)
    rows = [["", "estimate", "range", "found", "estimate beside it"]]
    found = []
    for dry in (["--dry-run"], []):
        run = subprocess.run(media.command(*argv, *dry, "--", *ARGUMENTS), check=True, capture_output=True, text=True)
        found += [json.loads(line) for line in run.stdout.splitlines()]
    estimated = next(event for event in found if event["event"] == "estimate")
    timings = json.loads(Path(f"{result}.cugan.json").read_text(encoding="utf-8"))["timings"]
    size = sum(event["bytes"] for event in found if event["event"] == "chunk")
    for name, unit, value in (("seconds", "s", timings["encoding_s"]), ("bytes", "MB", size)):
        scale = 1e6 if unit == "MB" else 1.0
        guess, low, high = (estimated[each] / scale for each in (name, f"{name}_low", f"{name}_high"))
        value /= scale
        rows.append([f"{'time' if unit == 's' else 'video'}, {unit}", f"{guess:.2f}", f"{low:.2f} to {high:.2f}",
                     f"{value:.2f}", f"{guess / value - 1:+.0%}"])  # fmt: skip
    return rows


PARTS = {"kept": kept, "speed": speed, "estimate": estimate}


def main() -> None:
    """Write the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help="what to measure; all without it")
    with tempfile.TemporaryDirectory() as name:
        for part in parser.parse_args().parts or PARTS:
            write_table(DOC, part, PARTS[part](Path(name)))


if __name__ == "__main__":
    main()
