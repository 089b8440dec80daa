"""Write docs/encode.md: what is kept of every container fixture, and what the pipeline costs beside its parts.

Run it with ``.venv/bin/python -P scripts/encode_report.py``; ``--frames`` makes the speed part longer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs" / "encode.md"
SAMPLE = ROOT / "tests" / "data" / "sylvie_vn_640x360_crf23.mkv"
CODEC = "x264"
ARGUMENTS = ["--preset", "veryfast", "--crf", "18"]
TURNS = 3
TEMPLATE = """# vscugan encode, measured

Written by `scripts/encode_report.py`.

## What is kept

Each fixture is made by ffmpeg (`tests/support/media.py`). A fact is a timestamp, the content of a stream
(sha256), its tags or flags, a chapter, a tag of the file, the size, the pixel shape, or a colour or HDR value.
Of Matroska it is also the chapters byte by byte, the target of a tag, an ID of the file or a track, a language.

| fixture | container | facts | kept | |
| --- | --- | --- | --- | --- |
{kept}

## Speed

640x360 to 1280x720, {frames} frames in chunks of 24, {cores} cores shared by all parts: the median of {turns} turns
that alternate, in seconds a frame.

| | s |
| --- | --- |
{times}
"""
sys.path.append(str(ROOT / "tests"))


def kept(folder: Path) -> list[str]:
    """A row for each fixture: how many facts its source holds, and how many of them the result."""
    from support import container_files, media, media_facts

    script = folder / "resize.vpy"
    script.write_text(media.RESIZE)
    rows = []
    for what, make in container_files.FIXTURES:
        place = folder / make.__name__
        place.mkdir()
        source = make(place)
        result = place / f"result{source.suffix}"
        encoder = "x265" if make is container_files.hdr10 else "x264"
        argv = ("encode", source, "-o", result, "--script", script, "--encoder", encoder, "--", "--preset", "medium")
        subprocess.run(media.command(*argv), check=True, stdout=subprocess.DEVNULL)
        count, lost = media_facts.compare(source, result)
        rows.append(f"| {what} | {source.suffix[1:]} | {count} | {count - len(lost)} | {1 - len(lost) / count:.0%} |")
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


def speed(folder: Path, frames: int) -> list[str]:
    """Rows of medians over turns that alternate, in s a frame."""
    times: dict[str, list[float]] = {"upscale": [], "encoder": [], "whole": []}
    for _ in range(TURNS):
        times["upscale"].append(_upscaled(frames))
        times["encoder"].append(_encoded(frames, folder))
        times["whole"].append(_whole(frames, folder))
    median = {name: statistics.median(values) for name, values in times.items()}
    slowest = max(median["upscale"], median["encoder"])
    return [
        f"| decode and upscale alone | {median['upscale']:.4f} |",
        f"| encoder alone ({CODEC} {' '.join(ARGUMENTS)}) | {median['encoder']:.4f} |",
        f"| `vscugan encode`, chunks checked and hashed | {median['whole']:.4f} |",
        f"| over the slowest part | {median['whole'] / slowest - 1:+.1%} |",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=48, help="for the speed part")
    frames = parser.parse_args().frames
    with tempfile.TemporaryDirectory() as name:
        rows = "\n".join(kept(Path(name)))
        times = "\n".join(speed(Path(name), frames))
    text = TEMPLATE.format(kept=rows, frames=frames, cores=os.cpu_count(), turns=TURNS, times=times)
    DOC.write_text(text, encoding="utf-8")
    print(f"{DOC.relative_to(ROOT)}: written")


if __name__ == "__main__":
    main()
