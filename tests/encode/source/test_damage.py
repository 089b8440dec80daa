"""Sources with flipped bytes and holes: what is damaged is said, and the encode goes on."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest
from support import media

from vscugan.encode.source import damage
from vscugan.encode.source.damage import Damage
from vscugan.encode.source.source import Source, open_source

FRAMES = 30
BROKEN = (7, 9, 10)
#: each frame by itself, so that damage stays where it is
INTRA = ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-g", 1, "-crf", 4)


def broken(path: Path, *coding: object, frames: tuple[int, ...] = BROKEN) -> Path:
    """A video of 30 frames, the packets of some of them full of other bytes behind their heads."""
    media.ffmpeg(*media.picture(FRAMES), *coding, path)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        packets = [bytes(packet) for packet in file.demux(video=0) if packet.size]
    for n in frames:
        place = content.index(packets[n])
        begin, end = place + len(packets[n]) // 4, place + len(packets[n]) * 3 // 4
        content[begin:end] = random.Random(n).randbytes(end - begin)
    path.write_bytes(content)
    return path


def opened(path: Path) -> Source:
    return open_source(path, lambda percent: None, is_scripted=True)


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were decoded once more to look for damage."""
    seen: list[Path] = []
    find = damage.find_damage

    def seen_find(path: Path, *more: Any) -> Damage:
        seen.append(path)
        return find(path, *more)

    monkeypatch.setattr("vscugan.encode.source.source_index.find_damage", seen_find)
    return seen


def test_damaged_frames_are_named_and_come_out_the_same_each_time(tmp_path: Path, scans: list[Path]) -> None:
    path = broken(tmp_path / "a.mkv", *INTRA)
    source = opened(path)
    assert source.damage.frames == BROKEN
    assert source.damage.missing == 0
    assert source.damage.said
    assert not source.damage.said.startswith("[")
    assert source.notes == (
        f"source is damaged, and the result with it in 3 frames: 7, 9 to 10 ({source.damage.said})",
    )
    pictures = [[bytes(frame[0]) for frame in opened(path).clip.frames(close=True)] for _ in range(2)]
    assert len(pictures[0]) == FRAMES
    assert pictures[0] == pictures[1]
    assert scans == [path]  # what was found before is not looked for again


def test_a_whole_source_is_decoded_no_second_time(tmp_path: Path, scans: list[Path]) -> None:
    path = media.plain(tmp_path / "a.mkv")
    assert opened(path).damage == Damage()
    assert opened(path).notes == ()
    assert not scans
    for record in (Path(os.environ["VSCUGAN_CACHE"]) / "damage").iterdir():
        record.unlink()
    assert opened(path).damage == Damage()
    assert scans == [path]  # an index that somebody else made proves nothing


def test_frames_that_cannot_be_decoded_are_counted(tmp_path: Path) -> None:
    path = broken(tmp_path / "a.mkv", "-pix_fmt", "yuv420p", "-c:v", "libsvtav1", "-preset", 10, "-g", 5, frames=(10,))
    source = opened(path)
    assert source.clip.num_frames < FRAMES
    assert source.damage == Damage(missing=FRAMES - source.clip.num_frames)
    assert source.notes == (
        f"source is damaged: {source.damage.missing} of its frames can't be decoded, and the result lacks them",
    )


def test_holes_in_a_transport_stream_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    media.ffmpeg(*media.picture(FRAMES, size="320x240"), "-c:v", "mpeg2video", "-q:v", 2, "-g", 1, path)
    content = path.read_bytes()
    middle = len(content) // 188 // 2 * 188
    path.write_bytes(content[:middle] + content[middle + 3 * 188 :])
    source = opened(path)
    assert len(source.damage.frames) in (1, 2)
    assert abs(source.damage.frames[0] - FRAMES // 2) < 4
    assert source.notes[0].startswith("source is damaged, and the result with it in ")


def test_notes_on_damage() -> None:
    assert Damage(frames=(3,), said="odd").notes() == ["source is damaged, and the result with it in frame 3 (odd)"]
    assert Damage(said="odd").notes() == ["source may be damaged, but the decoder marks no frame (odd)"]
    many = tuple(range(0, 40, 2))
    assert Damage(frames=many).notes() == [
        "source is damaged, and the result with it in 20 frames: 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 and 8 more "
        "spans"
    ]


def test_an_encode_goes_on_and_says_it(tmp_path: Path) -> None:
    source, script = broken(tmp_path / "a.mkv", *INTRA), tmp_path / "resize.vpy"
    script.write_text(media.RESIZE)
    argv = ("encode", source, "-o", tmp_path / "o.mkv", "--script", script, "--encoder", "ffv1")
    run = subprocess.run(media.command(*argv), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "note: source is damaged, and the result with it in 3 frames: 7, 9 to 10 (" in run.stdout
    certificate = json.loads((tmp_path / "o.mkv.cugan.json").read_text(encoding="utf-8"))
    assert certificate["source"]["damage"]["frames"] == list(BROKEN)
    assert len(media.frame_hashes(tmp_path / "o.mkv")) == FRAMES


def test_what_others_say_meanwhile_is_handed_on(capfd: pytest.CaptureFixture[str]) -> None:
    said = b"[h264 @ 0x55d8] broken\n    Last message repeated 2 times\na line of somebody's\n[hevc @ 0x55d8] again\n"
    with pytest.raises(ZeroDivisionError), damage.libav_errors() as errors:
        1 / os.write(2, said) / 0
    assert errors == ["broken", "again"]
    assert capfd.readouterr().err == "a line of somebody's\n"


@pytest.mark.parametrize("full", [True, False])
def test_nobody_hears_what_a_full_or_closed_stderr_does_not_take(tmp_path: Path, full: bool) -> None:
    script = (
        "import contextlib, os\nfrom vscugan.encode.source.damage import libav_errors\n"
        "with libav_errors() as errors, contextlib.suppress(OSError):\n    os.write(2, b'words\\n' * 9)\n"
        "print('went on', errors)\n"
    )
    redirection = "2>/dev/full" if full else "2>&-"
    run = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-P", "-c", script], capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert run.stdout == "went on []\n"
