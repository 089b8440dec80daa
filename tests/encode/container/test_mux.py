"""What ffmpeg's end is taken for, and what it changes while it copies."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from support import media
from support.encode_runs import encode_resized

from vscugan.encode.container import mux
from vscugan.encode.container.timeline import Timeline
from vscugan.encode.container.video import CodedChunk
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.errors import DiskError, ResultError, WorkerError


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
def test_the_end_of_the_muxer_is_explained(
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


def test_sound_of_a_transport_stream_is_copied(tmp_path: Path) -> None:
    """ffmpeg takes the heads off its packets; what they hold is compared with what it makes of the sound alone."""
    source = tmp_path / "in.ts"
    media.ffmpeg(*media.picture(), *media.sound(440), "-map", 0, "-map", 1, *media.FAST, "-c:a", "aac", source)
    for name, encoder in (("out.mkv", "ffv1"), ("out.mp4", "x264")):
        encode_resized(source, tmp_path / name, encoder)
        with av.open(str(tmp_path / name)) as file:
            assert [stream.codec_context.name for stream in file.streams.audio] == ["aac"]
            assert sum(frame.samples for frame in file.decode(audio=0)) > 50000
