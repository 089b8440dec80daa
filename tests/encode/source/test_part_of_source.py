"""A part of a source: its frames, its sound and subtitles, and its chapters, from 0 on."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from support import media

from vscugan.__main__ import main

SUBTITLES = """1
00:00:00,500 --> 00:00:02,500
before

2
00:00:02,000 --> 00:00:03,000
at the start

3
00:00:03,900 --> 00:00:05,000
over the end

4
00:00:04,200 --> 00:00:05,000
after
"""
SOUND = ("-f", "lavfi", "-i", "sine=duration=6")
CHAPTERS = ((0, 1500), (1500, 3000), (3000, 4500), (4500, 6000))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds with two kinds of sound, subtitles and chapters."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "s.srt").write_text(SUBTITLES)
    lines = (f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={a}\nEND={b}\ntitle=from {a}\n" for a, b in CHAPTERS)
    (folder / "m.txt").write_text(f";FFMETADATA1\n{''.join(lines)}")
    media.ffmpeg(
        *media.picture(144), *SOUND, *SOUND, "-i", folder / "s.srt", "-i", folder / "m.txt",
        "-map", "0:v", "-map", "1:a", "-map", "2:a", "-map", "3:s", "-map_chapters", "4", "-c:v", "libx264", "-g", "48",
        "-c:a:0", "aac", "-c:a:1", "flac", "-c:s", "srt", "-t", "6", folder / "in.mkv",
    )  # fmt: skip
    (folder / "r.vpy").write_text(media.RESIZE)
    return folder / "in.mkv"


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize(("start", "end"), [("0:02", "4.0"), ("48f", "96f")])
def test_what_lies_in_a_part_is_kept(
    source: Path, tmp_path: Path, suffix: str, start: str, end: str, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / f"out{suffix}"
    argv = ["encode", str(source), "-o", str(output), "--script", str(source.with_name("r.vpy")), "--encoder", "x264"]
    argv += ["--start", start, "--end", end, "--leave-out"]
    assert main([*argv, "--", "--qp", "0"]) == 0, capfd.readouterr().err
    assert main(["verify", str(output), "--source", str(source), "--script", str(source.with_name("r.vpy"))]) == 0
    with av.open(str(output)) as file:
        assert [round(float(c["start"] * c["time_base"]), 3) for c in file.chapters()] == [0, 1]
        stamps: dict[str, list[float]] = {}
        for packet in file.demux():
            if packet.size and packet.pts is not None:
                kind = f"{packet.stream.type} {packet.stream.codec_context.name}"
                stamps.setdefault(kind, []).append(float(packet.pts * packet.time_base))
    assert len(stamps["video h264"]) == 48
    assert min(stamps["video h264"]) == 0
    for codec in ("aac", "flac"):
        assert 0 <= min(stamps[f"audio {codec}"]) < 0.03
        assert 1.96 < max(stamps[f"audio {codec}"]) < 2
    if suffix == ".mkv":
        (subtitles,) = (times for kind, times in stamps.items() if kind.startswith("subtitle"))
        assert subtitles == pytest.approx([0, 1.9])


def test_times_are_those_of_a_source_that_begins_later(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    late, output = tmp_path / "late.ts", tmp_path / "out.mkv"
    media.ffmpeg("-i", source, "-map", "0:v", "-map", "0:1", "-c", "copy", "-output_ts_offset", "10", late)
    argv = ["encode", str(late), "-o", str(output), "--script", str(source.with_name("r.vpy")), "--encoder", "x264"]
    assert main([*argv, "--start", "2", "--end", "4", "--", "--qp", "0"]) == 0, capfd.readouterr().err
    with av.open(str(output)) as file:
        stamps: dict[str, list[float]] = {"video": [], "audio": []}
        for packet in file.demux():
            if packet.size and packet.pts is not None:
                stamps[packet.stream.type].append(float(packet.pts * packet.time_base))
    assert len(stamps["video"]) == 48
    assert 0 <= min(stamps["audio"]) < 0.03
    assert 1.96 < max(stamps["audio"]) < 2


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--start", "soon"), "start must be a time or a frame, got soon; write it as 90, 1:30.5, 0:01:30 or 2160f"),
        (("--start", "3", "--end", "2"), "start and end must leave frames, got 3 to 2 of 6.00 s, 144 frames; name "
         "times such as 1:30.5, or frames such as 2160f"),
        (("--end", "145f"), "start and end must leave frames, got 0 to 145f of 6.00 s, 144 frames; name times such as "
         "1:30.5, or frames such as 2160f"),
        (("--start", "9"), "start and end must leave frames, got 9 to the end of 6.00 s, 144 frames; name times such "
         "as 1:30.5, or frames such as 2160f"),
    ],
)  # fmt: skip
def test_what_is_no_part_is_refused(
    source: Path, tmp_path: Path, argv: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    script = str(source.with_name("r.vpy"))
    assert main(["encode", str(source), "-o", str(tmp_path / "o.mkv"), "--script", script, *argv]) == 2
    assert capfd.readouterr().err == f"vscugan encode: {message}\n"
