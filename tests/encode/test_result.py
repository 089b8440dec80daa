"""The finished file: its video is compared like everything else, and no file is read more often than it must be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import pytest
from support import media

from vscugan.encode.chunks import pipeline
from vscugan.encode.chunks.children import Children
from vscugan.encode.chunks.encoding import ChunkContext, Encoding
from vscugan.encode.container import mux
from vscugan.encode.encoders.programs import find_ffmpeg
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.lock import take_lock
from vscugan.encode.worker.encode_run import Run
from vscugan.errors import EncoderError, ResultError
from vscugan.files import HashedReader, sha256

#: each frame that is computed leaves its number in a file
COUNTED = """import vapoursynth as vs
def count(n, f):
    with open(log, "a") as file:
        file.write(f"{n}\\n")
    return f
out = vs.core.resize.Bicubic(clip, clip.width * 2, clip.height * 2)
out.std.ModifyFrame(out, count).set_output()
"""
X264 = ("x264", ["--preset", "ultrafast"])


def work(source: Path, output: Path, encoder: str, arguments: list[str], chunk_s: float = 10) -> None:
    """Encode in this process."""
    script = output.with_suffix(".vpy")
    script.write_text(COUNTED)
    plan = EncodeJob(
        source=str(source), output=str(output), script=str(script), encoder=encoder, encoder_arguments=arguments,
        chunk_s=chunk_s, script_arguments={"log": str(output.with_suffix(".log"))},
    )  # fmt: skip
    lock = take_lock(plan.work_folder)
    try:
        Run(plan, lambda event, /, **fields: None, Children()).work()
    finally:
        os.close(lock)


def characters_read() -> int:
    """Bytes that this process and the children that have ended have read so far."""
    (line,) = (line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("rchar: "))
    return int(line.split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="Linux tells what a process reads")
def test_files_are_read_and_frames_computed_no_more_than_they_must_be(tmp_path: Path) -> None:
    source, output = tmp_path / "a.mkv", tmp_path / "b.mkv"
    noise = ("-f", "lavfi", "-i", "anoisesrc=d=60:r=48000", "-map", 0, "-map", 1)
    media.ffmpeg(*media.picture(24), *noise, *media.FAST, "-c:a", "pcm_s16le", source)
    before = characters_read()
    work(source, output, *X264)
    # the source is looked through, indexed, decoded and copied from; the result, as large, is looked through
    assert (characters_read() - before) / source.stat().st_size < 5.5
    computed = (tmp_path / "b.log").read_text().split()
    assert sorted(map(int, computed)) == list(range(24))


def test_a_resumed_run_computes_what_is_missing_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output, log = media.plain(tmp_path / "a.mkv", frames=60), tmp_path / "b.mkv", tmp_path / "b.log"
    real = pipeline.finish_chunk

    def failing(context: ChunkContext, encoding: Encoding) -> Any:
        if encoding.chunk.number:
            encoding.process.wait()
            raise EncoderError("no more")
        return real(context, encoding)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "finish_chunk", failing)
        with pytest.raises(EncoderError, match="no more"):
            work(source, output, *X264, chunk_s=1)
    log.unlink()
    work(source, output, *X264, chunk_s=1)
    assert sorted(map(int, log.read_text().split())) == list(range(24, 60))
    assert len(media.frame_hashes(output)) == 60


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


@pytest.mark.parametrize("left_out", [5, 5000])
@pytest.mark.parametrize("reads", [[(0, 1000)], [(0, 10), (900, 100), (10, 500)], [(500, 10)], [(0, 9), (20, 9)], []])
def test_a_hash_comes_along_with_any_way_of_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[tuple[int, int]], left_out: int
) -> None:
    monkeypatch.setattr("vscugan.files.LEFT_OUT_BYTES", left_out)
    path = tmp_path / "a"
    path.write_bytes(bytes(range(250)) * 4)
    with open(path, "rb", buffering=0) as file:
        reader = HashedReader(file)
        for at, size in reads:
            assert reader.seek(at) == reader.tell() == at
            assert reader.read(size) == path.read_bytes()[at : at + size]
        assert reader.sha256() == sha256(path)
