"""Names and arguments that can't work, locks, outputs that are there, and workers that end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import media
from support.encode_runs import encode_in, refused

HOSTILE_NAMES = (
    "-i.mkv", "a'b\"c.mkv", "two\nlines.mkv", "日本語 ünï.mkv", "%d %s{output}.mkv", "$(touch pwned);`x`.mkv",
    "file:x.mkv", " .mkv",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_only_names(folder: Path, name: str) -> None:
    media.plain(folder / "plain.mkv", frames=3).rename(folder / name)
    output = f"out-{name}"
    run = encode_in(folder, name, "-o", output, "--script", "resize.vpy", "--encoder", "x264", "--", "--preset", "fast")
    assert run.returncode == 0, run.stderr
    assert {p.name for p in folder.iterdir()} == {name, output, f"{output}.cugan.json", "resize.vpy"}
    assert len(media.frame_hashes(folder / output)) == 3


def test_an_output_that_begins_with_a_dash(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    run = encode_in(folder, "a.mkv", "-o", "-o.mkv", "--script", "resize.vpy", "--encoder", "ffv1")
    assert run.returncode == 0, run.stderr
    assert (folder / "-o.mkv").exists()


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_video_of_one_frame(folder: Path, name: str) -> None:
    media.plain(folder / name, frames=1)
    run = encode_in(folder, name, "-o", f"o-{name}", "--script", "resize.vpy", "--encoder", "x264", "--", "--crf", "20")
    assert run.returncode == 0, run.stderr
    settings = "--preset medium --tune animation --crf 20"
    assert f"1 frame to 128x96 YUV420P8, 24 fps, by x264 inside ffmpeg ({settings}) in 1 chunk\n" in run.stdout
    assert f"done: 'o-{name}', 1 frame, " in run.stdout
    assert len(media.frame_hashes(folder / f"o-{name}")) == 1


def test_arguments_that_cannot_be(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    refused(folder, 2, "output must end in .mkv, .mp4, .m4v, got 'o.avi'; Matroska (.mkv) holds everything",
            "a.mkv", "-o", "o.avi")  # fmt: skip
    refused(folder, 6, "encoder must be x265, x264, svt-av1, ffv1, one of a GPU such as hevc_nvenc, or a program on "
            "PATH that reads y4m, got nvenc-9000; run vscugan doctor to see which there are",
            "a.mkv", "-o", "o.mkv", "--encoder", "nvenc-9000")  # fmt: skip
    refused(folder, 2, "encoder arguments must not name input, output or passes, got --output; vscugan feeds the "
            "encoder chunk by chunk", "a.mkv", "-o", "o.mkv", "--", "--output", "x")  # fmt: skip
    refused(folder, 2, "scale must be 1 to 16, got 99; 1 restores without resizing, and width or height makes a "
            "smaller picture", "a.mkv", "-o", "o.mkv", "--scale", "99")  # fmt: skip
    refused(folder, 4, "work folder must be there to resume, got no o.mkv.vscugan; leave --resume out to begin",
            "a.mkv", "-o", "o.mkv", "--resume")  # fmt: skip
    refused(folder, 7, "folder of the output must be writable, got 'nowhere'; make it, or its rights",
            "a.mkv", "-o", "nowhere/o.mkv")  # fmt: skip


def test_devices_are_listed_with_commas(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    refused(folder, 2, "device must be auto, cpu, mps, gpu, gpu:N, cuda, cuda:N, xpu or xpu:N, got gpu1; use "
            "auto to have it chosen", "a.mkv", "-o", "o.mkv", "--device", "cpu,gpu1")  # fmt: skip
    run = encode_in(folder, "a.mkv", "-o", "o.mkv", "--device", "cpu,cpu", "--backend", "torch", "--encoder", "ffv1")
    assert run.returncode == 0, run.stderr
    parameters = json.loads((folder / "o.mkv.cugan.json").read_text(encoding="utf-8"))["parameters"]
    assert parameters["options"]["device"] == ["cpu", "cpu"]


def test_errors_are_events_too(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    for argv, code in ((("a.mkv", "-o", "o.avi"), 2), (("no.mkv", "-o", "o.mkv"), 3), (("a.mkv", "-o", "a.mkv"), 4)):
        run = encode_in(folder, *argv, "--json")
        (event,) = [json.loads(line) for line in run.stdout.splitlines()]
        assert (event["event"], event["code"], run.returncode) == ("error", code, code)
        assert run.stderr == f"vscugan encode: {event['message']}\n"
