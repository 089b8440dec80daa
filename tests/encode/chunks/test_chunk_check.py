"""What an encoder makes is decoded, and an encoder that fails gives its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import media
from support.encode_runs import refused

from vscugan.encode.encoders.programs import find_ffmpeg


@pytest.mark.parametrize(
    ("filter", "fact"),
    [("select=lt(n\\,2)", "2 frames in 2 packets"), ("scale=64:48", "frame 0 damaged or of 64x48 px")],
)
def test_an_encoder_that_makes_something_else(folder: Path, filter: str, fact: str) -> None:
    media.plain(folder / "a.mkv", frames=3)
    own = ("-v", "error", "-f", "yuv4mpegpipe", "-i", "-", "-vf", filter, "-c:v", "ffv1", "{output}.mkv")
    refused(folder, 6, f"chunk 0 must hold 3 frames of 128x96 px, got {fact}; check the encoder's arguments, then run "
            "the same command again", "a.mkv", "-o", "o.mkv", "--script", "resize.vpy", "--encoder", find_ffmpeg(),
            "--", *own)  # fmt: skip


def test_an_encoder_that_fails_says_why(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    refused(folder, 2, "encoder arguments must be those of x264 in ffmpeg, got its answer: Error parsing option "
            "'crff = 5'; correct what stands behind --", "a.mkv", "-o", "o.mkv", "--script", "resize.vpy", "--encoder",
            "x264", "--", "--crff", "5")  # fmt: skip
    own = ("-v", "error", "-f", "yuv4mpegpipe", "-i", "-", "-c:v", "libx264", "-preset", "no", "{output}.mkv")
    refused(folder, 2, f"encoder arguments must be those of {find_ffmpeg()}, got its answer: invalid preset 'no'; "
            "correct what stands behind --", "a.mkv", "-o", "o.mkv", "--script", "resize.vpy", "--encoder",
            find_ffmpeg(), "--", *own)  # fmt: skip


def test_an_encoder_that_fails_in_the_middle_says_why(folder: Path) -> None:
    """It took two frames, and says something else behind its reason."""
    media.plain(folder / "a.mkv", frames=30)
    (folder / "enc").write_text(
        "#!/bin/sh\nif [ $(head -c 99999 | wc -c) = 99999 ]; then echo 'enc [error]: tired'; echo bye; exit 5; fi\n"
        f"{find_ffmpeg()} -v error -f lavfi -i color=s=128x96 -frames:v 2 \"$1\"\n"
    )
    (folder / "enc").chmod(0o755)
    refused(folder, 6, "encoder ./enc must take all frames, got its end with 5 in chunk 0: tired; correct this, then "
            "run the same command again: finished chunks are kept", "a.mkv", "-o", "o.mkv", "--script", "resize.vpy",
            "--encoder", "./enc", "--", "{output}.mkv")  # fmt: skip
