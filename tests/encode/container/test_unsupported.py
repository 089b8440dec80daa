"""What a container can't hold is refused before the start, or with the first chunk."""

from __future__ import annotations

from pathlib import Path

from support import container_files, media
from support.encode_runs import encode_in, refused

from vscugan.encode.encoders.programs import find_ffmpeg


def test_what_a_container_cannot_hold_is_reported_before_the_start(folder: Path) -> None:
    source = container_files.fonts(folder)
    refused(
        folder, 4, "output must hold everything of the source, got .mp4, which can't hold attachment #1 (One.ttf), "
        "attachment #2 (Zwei Ü.otf); write a .mkv, or say --leave-out to lose it",
        source.name, "-o", "o.mp4", "--script", "resize.vpy",
    )  # fmt: skip
    run = encode_in(folder, source.name, "-o", "o.mp4", "--script", "resize.vpy", "--encoder", "x264", "--leave-out")
    assert run.returncode == 0, run.stderr
    assert "note: attachment #1 (One.ttf) is left out, as asked" in run.stdout
    refused(folder, 4, "output must hold the encoder's video, got .mp4, which can't hold FFV1; write a .mkv",
            media.plain(folder / "p.mkv", 3).name, "-o", "q.mp4", "--encoder", "ffv1")  # fmt: skip


def test_a_video_that_the_container_cannot_hold_ends_with_its_first_chunk(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=60)
    own = ("-v", "error", "-f", "yuv4mpegpipe", "-i", "-", "-c:v", "huffyuv", "-pix_fmt", "yuv422p", "{output}.mkv")
    refused(folder, 4, "output must hold the encoder's video, got mp4, which can't hold huffyuv; write a .mkv, or use "
            "another --encoder", "a.mkv", "-o", "o.mp4", "--script", "resize.vpy", "--chunk", "1", "--encoder",
            find_ffmpeg(), "--", *own)  # fmt: skip
