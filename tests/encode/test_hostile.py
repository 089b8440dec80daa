"""Sources, names and arguments that can't work: a message, an exit code, and nothing left behind."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest
import vapoursynth as vs
from support import media

from vscugan.encode.encoders.programs import find_ffmpeg
from vscugan.encode.source.source_file import check_readable
from vscugan.errors import SourceError

HOSTILE_NAMES = (
    "-i.mkv", "a'b\"c.mkv", "two\nlines.mkv", "日本語 ünï.mkv", "%d %s{output}.mkv", "$(touch pwned);`x`.mkv",
    "file:x.mkv", " .mkv",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "resize.vpy").write_text(media.RESIZE)
    return tmp_path


def encode(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        media.command("encode", *words), capture_output=True, text=True, check=False, cwd=folder, timeout=100
    )


def refused(folder: Path, code: int, message: str, *words: object) -> None:
    before = sorted(folder.rglob("*"))
    run = encode(folder, *words)
    assert run.returncode == code, run.stderr
    assert run.stderr == f"vscugan encode: {message}\n"
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_only_names(folder: Path, name: str) -> None:
    media.plain(folder / "plain.mkv", frames=3).rename(folder / name)
    output = f"out-{name}"
    run = encode(folder, name, "-o", output, "--script", "resize.vpy", "--encoder", "x264", "--", "--preset", "fast")
    assert run.returncode == 0, run.stderr
    assert {p.name for p in folder.iterdir()} == {name, output, f"{output}.cugan.json", "resize.vpy"}
    assert len(media.frame_hashes(folder / output)) == 3


def test_an_output_that_begins_with_a_dash(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    run = encode(folder, "a.mkv", "-o", "-o.mkv", "--script", "resize.vpy", "--encoder", "ffv1")
    assert run.returncode == 0, run.stderr
    assert (folder / "-o.mkv").exists()


def test_files_that_are_no_video(folder: Path) -> None:
    (folder / "empty.mkv").write_bytes(b"")
    refused(folder, 3, "source must be a video, got 'empty.mkv', which is empty; name a whole file",
            "empty.mkv", "-o", "o.mkv")  # fmt: skip
    refused(folder, 3, f"source must be a file, got {folder.name!r}, which is not one; name a video file",
            ".", "-o", "o.mkv")  # fmt: skip
    refused(folder, 3, "source must be a readable file, got 'no.mkv': No such file or directory; check the name and "
            "its rights", "no.mkv", "-o", "o.mkv")  # fmt: skip
    (folder / "text.mkv").write_text("hello" * 99)
    refused(folder, 3, "source must be a video that can be decoded, got 'text.mkv': Invalid data found when "
            "processing input; check that the file is whole", "text.mkv", "-o", "o.mkv")  # fmt: skip
    media.ffmpeg(*media.sound(440), "-c:a", "aac", folder / "sound.mkv")
    refused(folder, 3, "source must hold a video, got 'sound.mkv' with none; name a file that does",
            "sound.mkv", "-o", "o.mkv")  # fmt: skip


def test_a_truncated_file(folder: Path) -> None:
    content = media.plain(folder / "whole.mkv").read_bytes()
    (folder / "cut.mkv").write_bytes(content[:900])
    before = sorted(folder.rglob("*"))
    run = encode(folder, "cut.mkv", "-o", "o.mkv")
    assert run.returncode == 3
    assert run.stderr.startswith("vscugan encode: source must be a video that can be decoded, got 'cut.mkv': ")
    assert sorted(folder.rglob("*")) == before


def test_no_frames(folder: Path) -> None:
    media.ffmpeg(*media.picture(1), "-frames:v", 0, "-c:v", "libx264", folder / "none.mkv")
    before = sorted(folder.rglob("*"))
    run = encode(folder, "none.mkv", "-o", "o.mkv")
    assert run.returncode == 3
    assert run.stderr.startswith("vscugan encode: source must ")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_video_of_one_frame(folder: Path, name: str) -> None:
    media.plain(folder / name, frames=1)
    run = encode(folder, name, "-o", f"o-{name}", "--script", "resize.vpy", "--encoder", "x264", "--", "--crf", "20")
    assert run.returncode == 0, run.stderr
    settings = "--preset medium --tune animation --crf 20"
    assert f"1 frame to 128x96 YUV420P8, 24 fps, by x264 inside ffmpeg ({settings}) in 1 chunk\n" in run.stdout
    assert f"done: 'o-{name}', 1 frame, " in run.stdout
    assert len(media.frame_hashes(folder / f"o-{name}")) == 1


def test_no_right_to_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = media.plain(folder / "a.mkv", frames=3)
    path.chmod(0)
    message = "source must be a readable file, got 'a.mkv': Permission denied; check the name and its rights"
    if os.geteuid():
        refused(folder, 3, message, "a.mkv", "-o", "o.mkv")
        return

    def denied(*_: object) -> None:  # root may read everything
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(SourceError) as error:
        check_readable(path)
    assert str(error.value) == message


def test_interlaced_is_refused_with_the_way_out(folder: Path) -> None:
    media.ffmpeg(*media.picture(24), "-vf", "tinterlace=4,setfield=tff", "-flags", "+ilme+ildct", "-pix_fmt",
                 "yuv420p", "-c:v", "libx264", "-x264-params", "tff=1", folder / "i.mkv")  # fmt: skip
    refused_message = (
        "source must be progressive, got interlaced frame 0 of 'i.mkv'; deinterlace or match fields in a --script, as "
        "examples/dvd_480i.vpy does"
    )
    run = encode(folder, "i.mkv", "-o", "o.mkv")
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
        words = (*media.picture(frames), "-g", 12, "-bf", 2, *flags, "-c:v", "mpeg2video")
        media.ffmpeg(*words, folder / f"{name}.ts")
    (folder / "list.txt").write_text("".join(f"file {name}.ts\n" for name in ("film", "credits", "film", "film")))
    media.ffmpeg("-f", "concat", "-i", folder / "list.txt", "-c", "copy", folder / "i.ts")
    run = encode(folder, "i.ts", "-o", "o.mkv")
    assert run.returncode == 3
    assert "source must be progressive, got interlaced frame 1" in run.stderr


def test_a_video_of_an_unknown_codec(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    path = folder / "u.mkv"
    path.write_bytes((folder / "a.mkv").read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_STRANGE/CODEC"))
    refused(folder, 3, "source must be a video that can be decoded, got 'u.mkv': a codec that is not known; check that "
            "the file is whole", "u.mkv", "-o", "o.mkv")  # fmt: skip


def test_what_a_container_cannot_hold_is_said_before_the_start(folder: Path) -> None:
    source = media.fonts(folder)
    refused(
        folder, 4, "output must hold everything of the source, got .mp4, which can't hold attachment #1 (One.ttf), "
        "attachment #2 (Zwei Ü.otf); write a .mkv, or say --leave-out to lose it",
        source.name, "-o", "o.mp4", "--script", "resize.vpy",
    )  # fmt: skip
    run = encode(folder, source.name, "-o", "o.mp4", "--script", "resize.vpy", "--encoder", "x264", "--leave-out")
    assert run.returncode == 0, run.stderr
    assert "note: attachment #1 (One.ttf) is left out, as asked" in run.stdout
    refused(folder, 4, "output must hold the encoder's video, got .mp4, which can't hold FFV1; write a .mkv",
            media.plain(folder / "p.mkv", 3).name, "-o", "q.mp4", "--encoder", "ffv1")  # fmt: skip


def test_arguments_that_cannot_be(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    refused(folder, 2, "output must end in .mkv, .mp4, .m4v, got 'o.avi'; Matroska (.mkv) holds everything",
            "a.mkv", "-o", "o.avi")  # fmt: skip
    refused(folder, 6, "encoder must be x265, x264, svt-av1, ffv1 or a program on PATH that reads y4m, got nvenc-9000; "
            "run vscugan doctor to see which there are", "a.mkv", "-o", "o.mkv", "--encoder", "nvenc-9000")  # fmt: skip
    refused(folder, 2, "encoder arguments must not name input, output or passes, got --output; vscugan feeds the "
            "encoder chunk by chunk", "a.mkv", "-o", "o.mkv", "--", "--output", "x")  # fmt: skip
    refused(folder, 2, "scale must be 1 to 16, got 99; 1 restores without resizing, and width or height makes a "
            "smaller picture", "a.mkv", "-o", "o.mkv", "--scale", "99")  # fmt: skip
    refused(folder, 4, "work folder must be there to resume, got no o.mkv.vscugan; leave --resume out to begin",
            "a.mkv", "-o", "o.mkv", "--resume")  # fmt: skip
    refused(folder, 7, "folder of the output must be writable, got 'nowhere'; make it, or its rights",
            "a.mkv", "-o", "nowhere/o.mkv")  # fmt: skip


def test_a_cache_that_cannot_be_written_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media.plain(folder / "a.mkv", frames=3)
    cache = folder / "cache"
    cache.write_text("a file")
    monkeypatch.setenv("VSCUGAN_CACHE", str(cache))
    way_out = "make room or rights there, or name another one by VSCUGAN_CACHE"
    refused(folder, 7, f"cache folder must be writable, got '{cache}': Not a directory; {way_out}",
            "a.mkv", "-o", "o.mkv")  # fmt: skip
    cache.unlink()
    (cache / "index").mkdir(parents=True)
    (cache / "CACHEDIR.TAG").write_text("")
    (cache / "index" / folder.parts[1]).write_text("in the place of bestsource's folder")
    refused(folder, 7, f"cache folder must be writable, got '{cache}': bestsource could not write its index; {way_out}",
            "a.mkv", "-o", "o.mkv")  # fmt: skip


def test_devices_are_listed_with_commas(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    refused(folder, 2, "device must be auto, cpu, mps, cuda, cuda:N, xpu or xpu:N, got gpu1; use auto to have it "
            "chosen", "a.mkv", "-o", "o.mkv", "--device", "cpu,gpu1")  # fmt: skip
    run = encode(folder, "a.mkv", "-o", "o.mkv", "--device", "cpu,cpu", "--backend", "torch", "--encoder", "ffv1")
    assert run.returncode == 0, run.stderr
    parameters = json.loads((folder / "o.mkv.cugan.json").read_text(encoding="utf-8"))["parameters"]
    assert parameters["options"]["device"] == ["cpu", "cpu"]


def test_scripts_that_do_not_work(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    (folder / "bad.vpy").write_text("1 / 0\n")
    refused(folder, 2, "script must run, got ZeroDivisionError: division by zero; try it with vspipe --info 'bad.vpy'",
            "a.mkv", "-o", "o.mkv", "--script", "bad.vpy")  # fmt: skip
    (folder / "none.vpy").write_text("x = 1\n")
    refused(folder, 2, "script must set a video output 0, got none; end 'none.vpy' with clip.set_output()",
            "a.mkv", "-o", "o.mkv", "--script", "none.vpy")  # fmt: skip


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


def test_a_video_that_the_container_cannot_hold_ends_with_its_first_chunk(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=60)
    own = ("-v", "error", "-f", "yuv4mpegpipe", "-i", "-", "-c:v", "huffyuv", "-pix_fmt", "yuv422p", "{output}.mkv")
    refused(folder, 4, "output must hold the encoder's video, got mp4, which can't hold huffyuv; write a .mkv, or use "
            "another --encoder", "a.mkv", "-o", "o.mp4", "--script", "resize.vpy", "--chunk", "1", "--encoder",
            find_ffmpeg(), "--", *own)  # fmt: skip


def test_errors_are_events_too(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    for words, code in ((("a.mkv", "-o", "o.avi"), 2), (("no.mkv", "-o", "o.mkv"), 3), (("a.mkv", "-o", "a.mkv"), 4)):
        run = encode(folder, *words, "--json")
        (event,) = [json.loads(line) for line in run.stdout.splitlines()]
        assert (event["event"], event["code"], run.returncode) == ("error", code, code)
        assert run.stderr == f"vscugan encode: {event['message']}\n"


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
    refused(folder, 6, "encoder ./enc must take all frames, got its end with 5 in chunk 0: tired; mend it, then run "
            "the same command again: finished chunks are kept", "a.mkv", "-o", "o.mkv", "--script", "resize.vpy",
            "--encoder", "./enc", "--", "{output}.mkv")  # fmt: skip
