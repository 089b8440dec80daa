"""The finished file's video is compared like everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest
from support import media
from support.encode_runs import X264, work

from vscugan.encode.container import mux
from vscugan.encode.encoders.programs import find_ffmpeg
from vscugan.errors import ResultError


def test_the_video_of_the_result_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = media.plain(tmp_path / "a.mkv", frames=6), tmp_path / "b.mkv"
    real = mux.mux

    def damaging(job: mux.MuxJob, path: Path, started: Any) -> Any:
        written = real(job, path, started)
        with av.open(str(path)) as file:
            packet = bytes(next(file.demux(file.streams.video[0])))
        content = bytearray(path.read_bytes())
        content[content.find(packet) + len(packet) - 1] ^= 1
        path.write_bytes(content)
        return written

    monkeypatch.setattr(mux, "mux", damaging)
    with pytest.raises(ResultError) as error:
        work(source, output, *X264)
    must, got = str(error.value).split(";")[0].removeprefix("content of the video must be ").split(", got ")
    assert len(must) == len(got) == 64
    assert must != got
    assert str(error.value) == (
        f"content of the video must be {must}, got {got}; all chunks are kept: please report it with the certificate"
    )
    assert not output.exists()


@pytest.mark.parametrize(
    ("codec", "suffix", "container"),
    [("libx264", ".h264", ".mkv"), ("libx265", ".hevc", ".mp4"), ("libsvtav1", ".ivf", ".mkv")],
)
def test_raw_streams_are_compared_as_the_muxer_writes_them(
    tmp_path: Path, codec: str, suffix: str, container: str
) -> None:
    output = tmp_path / f"b{container}"
    arguments = ["-v", "error", "-f", "yuv4mpegpipe", "-i", "-", "-c:v", codec, "-preset", "9" if suffix == ".ivf" else
                 "ultrafast", f"{{output}}{suffix}"]  # fmt: skip
    work(media.plain(tmp_path / "a.mkv", frames=4), output, find_ffmpeg(), arguments)
    assert len(media.frame_hashes(output)) == 4
