"""The parts of an encode by themselves: cuts, journal, lock, encoders' flags, y4m, timestamps."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest
import vapoursynth as vs
from support import media

from vscugan.encode.chunks import finish
from vscugan.encode.chunks.children import Children
from vscugan.encode.chunks.chunk import Chunk, chunk_frames, cut
from vscugan.encode.chunks.chunk_check import Checked
from vscugan.encode.chunks.encoding import ChunkContext, Encoding
from vscugan.encode.chunks.progress_meter import ProgressMeter
from vscugan.encode.chunks.trial import try_encoder
from vscugan.encode.container import mux
from vscugan.encode.container.timeline import Timeline
from vscugan.encode.container.video import CodedChunk, decode_tick, delay
from vscugan.encode.encoders import command_line, y4m
from vscugan.encode.encoders.command_line import command
from vscugan.encode.encoders.encoder_rows import ENCODERS
from vscugan.encode.encoders.programs import Program, check_arguments, check_format, find_encoder
from vscugan.encode.encoders.stream_format import StreamFormat, stream_format_of
from vscugan.encode.job.encode_job import differences
from vscugan.encode.job.journal import Entry, Journal
from vscugan.encode.job.lock import take_lock
from vscugan.encode.source import filter_graph as graph
from vscugan.encode.source import source
from vscugan.encode.source.main_video import _rotation
from vscugan.errors import ArgumentError, DiskError, EncoderError, LockedError, ResultError, SourceError, WorkerError

HDR_PROPS = {
    "_Matrix": 9, "_Primaries": 9, "_Transfer": 16, "_Range": 0, "_ChromaLocation": 2, "_SARNum": 8, "_SARDen": 9,
    "MasteringDisplayPrimariesX": [0.68, 0.265, 0.15], "MasteringDisplayPrimariesY": [0.32, 0.69, 0.06],
    "MasteringDisplayWhitePointX": 0.3127, "MasteringDisplayWhitePointY": 0.329,
    "MasteringDisplayMinLuminance": 0.005, "MasteringDisplayMaxLuminance": 1000.0,
    "ContentLightLevelMax": 1000, "ContentLightLevelAverage": 400,
}  # fmt: skip
MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.fixture
def hdr(core: Any) -> StreamFormat:
    clip = core.std.BlankClip(format=vs.YUV420P10, width=64, height=48, length=1)
    return stream_format_of(clip, HDR_PROPS, Fraction(24000, 1001))


def program(name: str, is_ffmpeg: bool) -> Program:
    return Program(name=name, path="/bin/tool", is_ffmpeg=is_ffmpeg, version="1", row=ENCODERS[name])


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
def test_tools_are_told_the_colour(hdr: StreamFormat, name: str, flags: str) -> None:
    call = command(program(name, False), ["--crf", "16", "--preset=5", "--tune", "0"], hdr, Path("/o.x"))
    start = {"x265": "--y4m --output-depth 10", "x264": "--demuxer y4m --output-depth 10", "svt-av1": "-i stdin"}[name]
    end = {"svt-av1": ["-b", "/o.x"]}.get(name, ["-o", "/o.x", "-"])
    assert call == ["/bin/tool", *start.split(), *flags.split(), "--crf", "16", "--preset=5", "--tune", "0", *end]


def test_ffmpeg_is_told_the_colour(hdr: StreamFormat) -> None:
    call = command(program("x265", True), ["--crf", "16", "--preset", "slow", "--no-sao"], hdr, Path("/o.mkv"))
    params = call[call.index("-x265-params") + 1]
    assert params.startswith("colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:chromaloc=2:")
    assert params.endswith(":max-cll=1000,400:log-level=error:aq-mode=3:crf=16:no-sao=1")
    assert "sar=8\\:9" in params
    assert call[call.index("-preset") + 1] == "slow"
    assert call[call.index("-vf") + 1] == (
        "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv:chroma_location=topleft"
    )
    assert call[call.index("-pix_fmt") + 1] == "+yuv420p10le"


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("x265", "", "--preset medium --crf 18 --aq-mode 3 --no-sao"),
        ("x265", "--sao --preset=slow", "--crf 18 --aq-mode 3 --sao --preset=slow"),
        ("x265", "--tune grain --bitrate 9000", "--preset medium --tune grain --bitrate 9000"),
        ("x264", "", "--preset medium --crf 17 --tune animation"),
        ("x264", "--qp 0", "--preset medium --tune animation --qp 0"),
        ("svt-av1", "", "--preset 6 --crf 22 --tune 0"),
        ("svt-av1", "--rc 1 --tbr 9000", "--preset 6 --tune 0 --rc 1 --tbr 9000"),
        ("ffv1", "-g 24", "-level 3 -slicecrc 1 -g 24"),
    ],
)
def test_defaults_give_way_to_what_the_user_says(name: str, arguments: str, told: str) -> None:
    assert command_line.settings(program(name, True), arguments.split()) == told.split()


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("x264", "--crff 5", "Error parsing option 'crff = 5'"),
        ("x264", "--me foo --crf 16", "Error parsing option 'me = foo'"),
        ("x264", "--preset slw", "invalid preset 'slw'"),
        ("x265", "--crff 5", "Unknown option: crff"),
        ("x265", "--crf 999", "Valid quality based range: -qpBDOffsetY to 51"),
        ("x265", "--preset slw", "Error setting preset/tune slw/(null)"),
        ("svt-av1", "--bogus 1", "Error parsing option bogus: 1"),
        ("svt-av1", "--crf 999", "Value 999.000000 for parameter 'crf' out of range [0 - 63]"),
        ("svt-av1", "--qp 999", "QP must be [0 - 63]"),
        ("ffv1", "-bogus 1", "Unrecognized option 'bogus'"),
        ("ffv1", "-crf 5", "Codec AVOption crf (Select the quality for constant quality mode) has not been used for any"
         " stream"),
    ],
)  # fmt: skip
def test_arguments_are_tried_before_the_start(
    tmp_path: Path, hdr: StreamFormat, name: str, arguments: str, answer: str
) -> None:
    """Inside ffmpeg, misspelt ones are passed over with exit code 0."""
    with pytest.raises(ArgumentError) as error:
        try_encoder(find_encoder(name), arguments.split(), hdr, tmp_path, lambda process: None)
    assert str(error.value) == (
        f"encoder arguments must be those of {name} in ffmpeg, got its answer: {answer}; correct what stands behind --"
    )


@pytest.mark.parametrize("name", ENCODERS)
def test_what_vscugan_says_itself_is_taken(tmp_path: Path, hdr: StreamFormat, name: str) -> None:
    for arguments in ([], ["-slices", "4"] if name == "ffv1" else ["--preset", "8" if name == "svt-av1" else "fast"]):
        try_encoder(find_encoder(name), arguments, hdr, tmp_path, lambda process: None)
        (made,) = tmp_path.glob("trial.m*")
        with av.open(str(made)) as file:
            assert file.streams.video[0].pix_fmt == "yuv420p10le"


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        ("echo x265 [info]: hello; case \"$*\" in *--crff*) echo \"x265: unrecognized option '--crff'\" >&2; exit 1; "
         "esac; cat >trial.hevc", ArgumentError, "encoder arguments must be those of x265, got its answer: x265: "
         "unrecognized option '--crff'; correct what stands behind --"),
        ("case \"$*\" in *--crff*) echo Unprocessed tokens: --crff; esac; cat >trial.hevc", ArgumentError,
         "encoder arguments must be those of x265, got its answer: Unprocessed tokens: --crff; correct what stands "
         "behind --"),
        ("echo Unknown option: chromaloc; cat >trial.hevc", None, ""),  # not the user's
        ("echo 'x265 [error]: crf'; case \"$*\" in *--crff*) exit 0; esac; cat >trial.hevc", ArgumentError,
         "encoder arguments must be those of x265, got its answer: crf; correct what stands behind --"),
        ("echo 'x265 [error]: stuck'; exec sleep 60", EncoderError, "encoder x265 must take 64x48 px YUV420P10, got "
         "its answer: stuck; use another --encoder, --format or size"),
        ("exec sleep 60", None, ""),  # only slow
        ("cat >/dev/null", EncoderError, "encoder x265 must take 64x48 px YUV420P10, got its answer: it wrote nothing; "
         "use another --encoder, --format or size"),
        ("echo 'x265 [error]: too small'; exit 3", EncoderError, "encoder x265 must take 64x48 px YUV420P10, got its "
         "answer: too small; use another --encoder, --format or size"),
        ("kill -9 $$", EncoderError, "encoder x265 must take 64x48 px YUV420P10, got its answer: its end by SIGKILL; "
         "use another --encoder, --format or size"),
    ],
)  # fmt: skip
def test_a_tool_is_tried_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hdr: StreamFormat, script: str, kind: type | None, message: str
) -> None:
    (tmp_path / "x265").write_text(f"#!/bin/sh\n[ $1 = --version ] && exit\n{script}\n")
    (tmp_path / "x265").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    if "sleep" in script:
        monkeypatch.setattr("vscugan.encode.chunks.trial.TRIAL_S", 0.6)
    with nullcontext() if kind is None else pytest.raises(kind) as error:
        try_encoder(find_encoder("x265"), ["--crff", "5"], hdr, tmp_path, lambda process: None)
    assert kind is None or str(error.value) == message


def test_a_program_of_your_own(hdr: StreamFormat) -> None:
    own = Program(name="mine", path="/bin/mine", is_ffmpeg=False, version="1", row=None)
    arguments = ["--ivf", "-c", "{matrix}:{transfer}", "-o", "{output}.ivf", "-"]
    check_arguments(own, arguments)
    assert command_line.output_suffix(own, arguments) == ".ivf"
    call = command(own, arguments, hdr, Path("/tmp/000001.ivf"))
    assert call == ["/bin/mine", "--ivf", "-c", "9:16", "-o", "/tmp/000001.ivf", "-"]
    with pytest.raises(ArgumentError) as error:
        check_arguments(own, ["-"])
    assert str(error.value) == (
        "arguments of mine must name {output}, got none that does; say for example -- --crf 20 -o {output}.ivf -"
    )


def test_formats_that_an_encoder_does_not_take(core: Any) -> None:
    clip = core.std.BlankClip(format=vs.YUV444P16, width=64, height=48, length=1)
    stream_format = stream_format_of(clip, {}, Fraction(24))
    with pytest.raises(ArgumentError) as error:
        check_format(program("svt-av1", True), stream_format)
    assert str(error.value) == "format must be one that svt-av1 takes, got YUV444P16; say --format YUV420P10"
    check_format(program("ffv1", True), stream_format)


@pytest.mark.parametrize(
    ("format", "encoder", "wanted"),
    [
        (vs.YUV420P8, "x265", vs.YUV420P10),
        (vs.YUV422P8, "x264", vs.YUV422P10),
        (vs.YUV420P8, "svt-av1", vs.YUV420P10),
        (vs.GRAY8, "ffv1", vs.GRAY10),
        (vs.YUV420P8, "aomenc", None),
        (vs.YUV420P12, "x265", None),
        (vs.YUV420P10, "svt-av1", None),
        (vs.RGB24, "x265", None),
    ],
)
def test_encoders_get_10_bits_where_they_have_them(core: Any, format: int, encoder: str, wanted: int | None) -> None:
    assert graph._default_format(core.std.BlankClip(format=format, length=1), encoder) == wanted


def test_y4m_as_vspipe_writes_it(hdr: StreamFormat, core: Any) -> None:
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


@pytest.mark.parametrize("base", [Fraction(1, 1000), Fraction(1, 24000), Fraction(1, 90000)], ids=str)
@pytest.mark.parametrize("rate", graph.COMMON_RATES, ids=str)
def test_short_clips_have_the_rate_of_their_container(rate: Fraction, base: Fraction) -> None:
    """And long ones that of their timestamps."""
    other = Fraction(24) if rate == Fraction(24000, 1001) else Fraction(24000, 1001)
    for frames in (1, 2, 3, 25, 26, 2000):
        ticks = tuple(round(n / (rate * base)) for n in range(frames + 1))
        timeline = Timeline(base=base, ticks=ticks[:-1], last_ticks=ticks[-1] - ticks[-2])
        assert graph._rate(timeline, rate) == rate
    assert graph._rate(timeline, other) == rate
    assert graph._rate(timeline, Fraction(0)) == rate


def test_what_is_turned_is_not_cropped(core: Any) -> None:
    clip, cropping = core.std.BlankClip(width=64, height=48), struct.pack("<4I", 2, 0, 4, 0)
    quarter_turn = struct.pack("<9i", 0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30)
    assert [_rotation(matrix) for matrix in (None, quarter_turn)] == [0, 90]
    assert source._crop(Path("a.mkv"), clip, cropping, 0).width == 60
    with pytest.raises(SourceError) as error:
        source._crop(Path("a.mkv"), clip, cropping, 90)
    assert str(error.value) == (
        "cropping and rotation must not be in one container, got both in 'a.mkv'; use --script for it"
    )


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        ("kill -9 $$", WorkerError, "ffmpeg must write the finished file, got its end by SIGKILL; all chunks are kept: "
         "run the same command again to go on"),
        ("echo No space left on device >&2; exit 1", DiskError, "finished file must be writable, got No space left on "
         "device with 100 MiB left; all chunks are kept: make room, then run the same command again"),
        ("echo odd >&2; exit 1", ResultError, "finished file must be written by ffmpeg, got odd; all chunks are kept: "
         "run the same command again, and report it if it says so again"),
    ],
)  # fmt: skip
def test_what_ended_the_muxer_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hdr: StreamFormat, script: str, kind: type, message: str
) -> None:
    chunk = CodedChunk(path=media.plain(tmp_path / "a.mkv", 3), start=0, order=(0, 1, 2))
    timeline = Timeline(base=Fraction(1, 1000), ticks=(0, 42, 83), last_ticks=42)
    job = mux.MuxJob(source=chunk.path, video=0, kept=(), chunks=(chunk,), timeline=timeline, stream_format=hdr,
                     muxer="matroska", header=None, contents={})  # fmt: skip
    monkeypatch.setattr(mux, "mux_command", lambda *_: ["sh", "-c", f"cat > {tmp_path}/pipe; {script}"])
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100 << 20))
    with pytest.raises(kind) as error:
        mux.mux(job, tmp_path / "result.mkv", lambda process: None)
    assert str(error.value) == message


def test_differences_are_named() -> None:
    old = {"options": {"noise": "denoise1x"}, "encoder": "x265"}
    new = {"options": {"noise": "denoise3x", "scale": 2}, "encoder": "x265"}
    assert differences(old, new) == ["noise was denoise1x, now denoise3x", "scale was left out, now 2"]


def test_differences_write_nothing_on_a_terminal() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    old = {"versions": {"a\x1b[2J": "1\x1b[1A\nright\u202e"}, "made_by": {"b": nested}, "c": 10**9999}
    assert differences(old, {}) == [
        "c was a int, now left out", "made-by.b was a list, now left out",
        r"versions.a\x1b[2J was 1\x1b[1A\nright\u202e, now left out",
    ]  # fmt: skip


def test_progress_counts_and_estimates() -> None:
    told: list[dict[str, Any]] = []
    now = [0.0]
    progress = ProgressMeter(lambda name, /, **f: told.append(f), frames=100, done=40, clock=lambda: now[0])
    for _ in range(60):
        now[0] += 0.5
        progress.frame(0.25)
    assert told[-1]["frames"] == 100
    assert told[-1]["eta_s"] == 0
    assert told[9] == {"frames": 50, "of": 100, "fps": 2, "fps_mean": 2, "eta_s": 25, "bytes": 0, "reused": 0.25}


def test_chunks_that_end_at_once_are_compared(
    tmp_path: Path, hdr: StreamFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
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

    monkeypatch.setattr(finish, "check_chunk", checked)
    monkeypatch.setattr(finish, "refuse_unsupported_video", lambda path, muxer: None)
    monkeypatch.setattr(Journal, "of_kind", slow_read)
    for name in ("chunks", "temp"):
        (tmp_path / name).mkdir()
    journal = Journal(tmp_path / "journal.jsonl")
    context = ChunkContext(
        clip=vs.core.std.BlankClip(), stream_format=hdr, program=program("x264", True), arguments=(), muxer="matroska",
        folder=tmp_path, journal=journal, children=Children(), emit=lambda event, /, **fields: None,
        computed=(0, vs.core.std.BlankClip().get_frame(0)), hardware={},
    )  # fmt: skip

    def finished(number: int) -> str:
        temp = context.temp_folder / f"{number:06d}.mkv"
        temp.write_bytes(b"coded")
        with subprocess.Popen(["true"]) as process:
            encoding = Encoding(chunk=Chunk(number=number, start=number, stop=number + 1), process=process,
                                temp=temp, log=temp.with_suffix(".log"), started=0)  # fmt: skip
        try:
            finish.finish_chunk(context, encoding)
        except EncoderError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        messages = sorted(pool.map(finished, (0, 1)))
    first = journal.entries[0]["chunk"]
    assert messages == ["", f"chunk {1 - first} must have the stream header of chunk {first}, got another; leave out "
                            "encoder arguments that depend on the content or the length"]  # fmt: skip
    assert len(journal.entries) == 1
    journal.close()
