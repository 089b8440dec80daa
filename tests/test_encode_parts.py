"""The parts of an encode by themselves: cuts, journal, lock, encoders' flags, y4m, timestamps."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs

from vscugan.encode import encoders, pipeline, y4m
from vscugan.encode.children import Children
from vscugan.encode.chunk_check import Checked
from vscugan.encode.chunks import Chunk, chunk_frames, cut
from vscugan.encode.encoders import Program, check_arguments, check_format, command
from vscugan.encode.journal import Entry, Journal
from vscugan.encode.lock import take_lock
from vscugan.encode.picture import Picture, picture_of
from vscugan.encode.plan import differences
from vscugan.encode.progress import Progress
from vscugan.encode.source import Timeline
from vscugan.encode.video import CodedChunk, decode_tick, delay
from vscugan.errors import ArgumentError, EncoderError, LockedError

HDR_PROPS = {
    "_Matrix": 9, "_Primaries": 9, "_Transfer": 16, "_Range": 0, "_ChromaLocation": 2, "_SARNum": 8, "_SARDen": 9,
    "MasteringDisplayPrimariesX": [0.68, 0.265, 0.15], "MasteringDisplayPrimariesY": [0.32, 0.69, 0.06],
    "MasteringDisplayWhitePointX": 0.3127, "MasteringDisplayWhitePointY": 0.329,
    "MasteringDisplayMinLuminance": 0.005, "MasteringDisplayMaxLuminance": 1000.0,
    "ContentLightLevelMax": 1000, "ContentLightLevelAverage": 400,
}  # fmt: skip
MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.fixture
def hdr(core: Any) -> Picture:
    clip = core.std.BlankClip(format=vs.YUV420P10, width=64, height=48, length=1)
    return picture_of(clip, HDR_PROPS, Fraction(24000, 1001))


def program(name: str, is_ffmpeg: bool) -> Program:
    return Program(name=name, path="/bin/tool", is_ffmpeg=is_ffmpeg, version="1", row=encoders.ENCODERS[name])


def test_cuts_lie_on_a_grid() -> None:
    assert chunk_frames(10, Fraction(24), 24) == 240
    assert chunk_frames(0.1, Fraction(24000, 1001), 24) == 24
    chunks = cut(500, 240)
    assert [(c.start, c.stop) for c in chunks] == [(0, 240), (240, 480), (480, 500)]


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    first = {"kind": "begin", "plan": {}, "facts": {"source": {}, "versions": {}, "made_by": {}}}
    journal.append(first)
    journal.close()
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole + whole[:length] if length < len(whole) else whole)
        again = Journal(path)
        assert again.torn
        assert again.entries == [first]
        again.append({"kind": "unpublished"})
        again.close()
        assert path.read_bytes() == whole + b'{"kind":"unpublished"}\n'


def test_the_lock_goes_with_its_last_holder(tmp_path: Path) -> None:
    folder = tmp_path / "a.vscugan"
    lock = take_lock(folder)
    with pytest.raises(LockedError) as error:
        take_lock(folder)
    assert str(error.value) == (
        f"work folder a.vscugan must be free, got one that process {os.getpid()} works in; "
        "wait for it, or end it and run this again"
    )
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
    os.close(lock)
    with pytest.raises(LockedError):
        take_lock(folder)
    child.kill()
    child.wait()
    os.close(take_lock(folder))


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("x265", f"--colorprim bt2020 --transfer smpte2084 --colormatrix bt2020nc --range limited --chromaloc 2 "
                 f"--sar 8:9 --master-display {MASTERING} --max-cll 1000,400"),
        ("x264", f"--colorprim bt2020 --transfer smpte2084 --colormatrix bt2020nc --range tv --chromaloc 2 "
                 f"--sar 8:9 --mastering-display {MASTERING} --cll 1000,400"),
        ("svt-av1", "--color-primaries 9 --transfer-characteristics 16 --matrix-coefficients 9 --color-range 0 "
                    "--chroma-sample-position 2 --mastering-display "
                    "G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005) --content-light 1000,400"),
    ],
)  # fmt: skip
def test_tools_are_told_the_colour(hdr: Picture, name: str, flags: str) -> None:
    call = command(program(name, False), ["--crf", "16"], hdr, Path("/o.x"))
    start = {"x265": ["--y4m"], "x264": ["--demuxer", "y4m"], "svt-av1": ["-i", "stdin"]}[name]
    end = {"svt-av1": ["-b", "/o.x"]}.get(name, ["-o", "/o.x", "-"])
    assert call == ["/bin/tool", *start, *flags.split(), "--crf", "16", *end]


def test_ffmpeg_is_told_the_colour(hdr: Picture) -> None:
    call = command(program("x265", True), ["--crf", "16", "--preset", "slow", "--no-sao"], hdr, Path("/o.mkv"))
    params = call[call.index("-x265-params") + 1]
    assert params.startswith("colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:chromaloc=2:")
    assert params.endswith(":max-cll=1000,400:log-level=error:crf=16:no-sao=1")
    assert "sar=8\\:9" in params
    assert call[call.index("-preset") + 1] == "slow"
    assert call[call.index("-vf") + 1] == (
        "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv:chroma_location=topleft"
    )
    assert call[call.index("-pix_fmt") + 1] == "+yuv420p10le"


def test_a_program_of_your_own(hdr: Picture) -> None:
    own = Program(name="mine", path="/bin/mine", is_ffmpeg=False, version="1", row=None)
    arguments = ["--ivf", "-c", "{matrix}:{transfer}", "-o", "{output}.ivf", "-"]
    check_arguments(own, arguments)
    assert encoders.output_suffix(own, arguments) == ".ivf"
    call = command(own, arguments, hdr, Path("/tmp/000001.ivf"))
    assert call == ["/bin/mine", "--ivf", "-c", "9:16", "-o", "/tmp/000001.ivf", "-"]
    with pytest.raises(ArgumentError) as error:
        check_arguments(own, ["-"])
    assert str(error.value) == (
        "arguments of mine must name {output}, got none that does; say for example -- --crf 20 -o {output}.ivf -"
    )


def test_formats_that_an_encoder_does_not_take(core: Any) -> None:
    clip = core.std.BlankClip(format=vs.YUV444P16, width=64, height=48, length=1)
    picture = picture_of(clip, {}, Fraction(24))
    with pytest.raises(ArgumentError) as error:
        check_format(program("svt-av1", True), picture)
    assert str(error.value) == "format must be one that svt-av1 takes, got YUV444P16; say --format YUV420P10"
    check_format(program("ffv1", True), picture)


def test_y4m_as_vspipe_writes_it(hdr: Picture, core: Any) -> None:
    assert y4m.header(hdr) == b"YUV4MPEG2 W64 H48 F24000:1001 Ip A8:9 C420p10 XCOLORRANGE=LIMITED\n"
    clip = core.std.BlankClip(format=vs.YUV420P8, width=65 - 1, height=48, length=1, color=[1, 2, 3])
    with clip.get_frame(0) as frame:
        planes = [bytes(plane) for plane in y4m.planes(frame)]
    assert planes == [b"\1" * 64 * 48, b"\2" * 32 * 24, b"\3" * 32 * 24]


def test_packets_are_decoded_before_they_are_shown() -> None:
    timeline = Timeline(base=Fraction(1, 1000), ticks=(0, 42, 83, 125, 300, 310), last_ticks=40)
    chunks = [
        CodedChunk(path=Path("a"), start=0, order=(0, 2, 1)),
        CodedChunk(path=Path("b"), start=3, order=(0, 2, 1)),
    ]
    late = delay(chunks)
    assert late == 1
    stamps = [decode_tick(n, late, timeline) for n in range(6)]
    assert stamps == [-42, 0, 42, 83, 125, 300]
    shown = [chunk.start + chunk.order.index(k) for chunk in chunks for k in range(3)]
    assert all(timeline.ticks[n] >= stamp for n, stamp in zip(shown, stamps, strict=True))


def test_differences_are_named() -> None:
    old = {"options": {"noise": "denoise1x"}, "encoder": "x265"}
    new = {"options": {"noise": "denoise3x", "scale": 2}, "encoder": "x265"}
    assert differences(old, new) == ["noise was denoise1x, now denoise3x", "scale was left out, now 2"]


def test_progress_counts_and_estimates() -> None:
    told: list[dict[str, Any]] = []
    now = [0.0]
    progress = Progress(lambda name, /, **f: told.append(f), frames=100, done=40, clock=lambda: now[0])
    for _ in range(60):
        now[0] += 0.5
        progress.frame(0.25)
    assert told[-1]["frames"] == 100
    assert told[-1]["eta_s"] == 0
    assert told[9] == {"frames": 50, "of": 100, "fps": 2, "fps_mean": 2, "eta_s": 25, "bytes": 0, "reused": 0.25}


def test_chunks_that_end_at_once_are_compared(tmp_path: Path, hdr: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each looks at the journal while the other has not written yet, but for the lock."""
    both = threading.Barrier(2)
    read = Journal.of_kind

    def slow_read(journal: Journal, kind: str) -> list[Entry]:
        entries = read(journal, kind)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)
        return entries

    def checked(path: Path, chunk: Chunk, size: tuple[int, int]) -> Checked:
        return Checked(order=(0,), codec="h264", header_sha256=f"{chunk.number}")

    monkeypatch.setattr(pipeline, "check_chunk", checked)
    monkeypatch.setattr(pipeline, "refuse_unheld_video", lambda path, format: None)
    monkeypatch.setattr(Journal, "of_kind", slow_read)
    for name in ("chunks", "temp"):
        (tmp_path / name).mkdir()
    journal = Journal(tmp_path / "journal.jsonl")
    job = pipeline.Job(
        clip=vs.core.std.BlankClip(), picture=hdr, program=program("x264", True), arguments=(), format="matroska",
        folder=tmp_path, journal=journal, children=Children(), emit=lambda event, /, **fields: None,
        first=(0, vs.core.std.BlankClip().get_frame(0)), made_by={}, hardware={},
    )  # fmt: skip

    def finish(number: int) -> str:
        temp = job.temp_folder / f"{number:06d}.mkv"
        temp.write_bytes(b"coded")
        with subprocess.Popen(["true"]) as process:
            encoding = pipeline.Encoding(chunk=Chunk(number=number, start=number, stop=number + 1), process=process,
                                         temp=temp, log=temp.with_suffix(".log"), started=0)  # fmt: skip
        try:
            pipeline._finish(job, encoding)
        except EncoderError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        messages = sorted(pool.map(finish, (0, 1)))
    first = journal.entries[0]["chunk"]
    assert messages == ["", f"chunk {1 - first} must have the stream header of chunk {first}, got another; leave out "
                            "encoder arguments that depend on the content or the length"]  # fmt: skip
    assert len(journal.entries) == 1
    journal.close()
