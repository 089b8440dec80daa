"""The source as it is to be seen: cropped, upright, progressive or refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs
from support import media
from support.encode_runs import encode_in, refused

from vscugan.encode.source import source
from vscugan.encode.source.main_video import _rotation
from vscugan.errors import SourceError


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


def test_interlaced_is_refused_with_the_way_out(folder: Path) -> None:
    media.ffmpeg(*media.picture(24), "-vf", "tinterlace=4,setfield=tff", "-flags", "+ilme+ildct", "-pix_fmt",
                 "yuv420p", "-c:v", "libx264", "-x264-params", "tff=1", folder / "i.mkv")  # fmt: skip
    refused_message = (
        "source must be progressive, got interlaced frame 0 of 'i.mkv'; deinterlace or match fields in a --script, as "
        "examples/dvd_480i.vpy does"
    )
    run = encode_in(folder, "i.mkv", "-o", "o.mkv")
    assert run.returncode == 3
    assert run.stderr == f"vscugan encode: {refused_message}\n"


def test_a_source_that_is_interlaced_in_parts_is_refused_before_the_start(folder: Path) -> None:
    """As credits of a progressive film are: no frame that is looked at for being one of five is interlaced."""
    for name, flags in (("film", ()), ("credits", ("-vf", "setfield=tff", "-flags", "+ilme+ildct"))):
        media.ffmpeg(*media.picture(72), *flags, "-g", 24, "-c:v", "mpeg2video", folder / f"{name}.ts")
    order = ["film", "film", "credits", "film", "film", "film", "film"]
    (folder / "list.txt").write_text("".join(f"file {name}.ts\n" for name in order))
    media.ffmpeg("-f", "concat", "-i", folder / "list.txt", "-c", "copy", folder / "i.mkv")
    clip = vs.core.bs.VideoSource(str(folder / "i.mkv"), cachemode=0)
    first = next(n for n, frame in enumerate(clip.frames(close=True)) if frame.props.get("_FieldBased"))
    message = (
        f"source must be progressive, got interlaced frame {first} of 'i.mkv'; deinterlace or match fields in a "
        "--script, as examples/dvd_480i.vpy does"
    )
    refused(folder, 3, message, "i.mkv", "-o", "o.mkv")


def test_a_short_interlaced_part_of_a_transport_stream_is_found(folder: Path) -> None:
    """Where a sequence of another kind begins, decoders give up the frame that they hold back."""
    for name, frames, flags in (("film", 120, ()), ("credits", 40, ("-flags", "+ilme+ildct"))):
        argv = (*media.picture(frames), "-g", 12, "-bf", 2, *flags, "-c:v", "mpeg2video")
        media.ffmpeg(*argv, folder / f"{name}.ts")
    (folder / "list.txt").write_text("".join(f"file {name}.ts\n" for name in ("film", "credits", "film", "film")))
    media.ffmpeg("-f", "concat", "-i", folder / "list.txt", "-c", "copy", folder / "i.ts")
    run = encode_in(folder, "i.ts", "-o", "o.mkv")
    assert run.returncode == 3
    assert "source must be progressive, got interlaced frame 1" in run.stderr
