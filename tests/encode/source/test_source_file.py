"""Files that are no video, or none that can be read."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from support import media
from support.encode_runs import encode_in, refused

from vscugan.encode.source.source_file import check_readable
from vscugan.errors import SourceError


def test_files_that_are_no_video(folder: Path) -> None:
    (folder / "empty.mkv").write_bytes(b"")
    refused(folder, 3, "source must be a video, got 'empty.mkv', which is empty; name a whole file",
            "empty.mkv", "-o", "o.mkv")  # fmt: skip
    refused(folder, 2, "output must be a folder for several files, got 'o.mkv'; name a folder", ".", "-o", "o.mkv")
    refused(folder, 3, "source must be a readable file, got 'no.mkv': No such file or directory; check the name and "
            "its rights", "no.mkv", "-o", "o.mkv")  # fmt: skip
    (folder / "text.mkv").write_text("hello" * 99)
    refused(folder, 3, "source must be a video that can be decoded, got 'text.mkv': Invalid data found when "
            "processing input; check that the file is whole", "text.mkv", "-o", "o.mkv")  # fmt: skip
    media.ffmpeg(*media.sound(440), "-c:a", "aac", folder / "sound.mkv")
    refused(folder, 3, "source must hold a video, got 'sound.mkv' with none; name a file that does",
            "sound.mkv", "-o", "o.mkv")  # fmt: skip


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 alone")
def test_a_name_that_is_no_text(folder: Path) -> None:
    name = os.fsdecode(b"\xff.mkv")
    media.plain(folder / "a.mkv", frames=3).rename(folder / name)
    run = encode_in(folder, name, "-o", "o.mkv")
    assert run.returncode == 3, run.stderr
    assert run.stderr.startswith("vscugan encode: source must have a path in UTF-8, got '")
    assert run.stderr.endswith("\\udcff.mkv'; rename it\n")


def test_a_truncated_file(folder: Path) -> None:
    content = media.plain(folder / "whole.mkv").read_bytes()
    (folder / "cut.mkv").write_bytes(content[:900])
    before = sorted(folder.rglob("*"))
    run = encode_in(folder, "cut.mkv", "-o", "o.mkv")
    assert run.returncode == 3
    assert run.stderr.startswith("vscugan encode: source must be a video that can be decoded, got 'cut.mkv': ")
    assert sorted(folder.rglob("*")) == before


def test_no_frames(folder: Path) -> None:
    media.ffmpeg(*media.picture(1), "-frames:v", 0, "-c:v", "libx264", folder / "none.mkv")
    before = sorted(folder.rglob("*"))
    run = encode_in(folder, "none.mkv", "-o", "o.mkv")
    assert run.returncode == 3
    assert run.stderr.startswith("vscugan encode: source must ")
    assert sorted(folder.rglob("*")) == before


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


def test_a_video_of_an_unknown_codec(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    path = folder / "u.mkv"
    path.write_bytes((folder / "a.mkv").read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_STRANGE/CODEC"))
    refused(folder, 3, "source must be a video that can be decoded, got 'u.mkv': a codec that is not known; check that "
            "the file is whole", "u.mkv", "-o", "o.mkv")  # fmt: skip
