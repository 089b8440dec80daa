"""Everything that a container holds comes through, or is refused before the start."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from support import container_files, matroska_files, media, media_facts
from support.encode_runs import encode_resized

from vscugan.encode.container import matroska_ids as ids
from vscugan.encode.container.matroska_header import read_header


@pytest.mark.parametrize(("what", "make"), container_files.FIXTURES, ids=lambda v: getattr(v, "__name__", ""))
def test_everything_is_kept(tmp_path: Path, what: str, make: Callable[[Path], Path]) -> None:
    (tmp_path / "in").mkdir()
    source = make(tmp_path / "in")
    result = tmp_path / f"out{source.suffix}"
    encoder = "x265" if make is container_files.hdr10 else "x264"
    encode_resized(source, result, encoder, "--preset", "medium", "--crf", 20)
    count, lost = media_facts.compare(source, result)
    assert not lost
    assert count > 30
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["in", result.name, f"{result.name}.cugan.json", "resize.vpy"]
    )


def test_what_only_matroska_holds_is_reported_before_the_start(tmp_path: Path) -> None:
    source, script = matroska_files.matroska_with_all(tmp_path), tmp_path / "resize.vpy"
    script.write_text(media.RESIZE)
    argv = ("encode", source, "-o", tmp_path / "out.mp4", "--script", script, "--encoder", "x264")
    run = subprocess.run(media.command(*argv), capture_output=True, text=True, check=False)
    assert run.returncode == 4
    for what in ("further editions of chapters", "the order of chapters", "chapters inside chapters", "hidden chapters",
                 "further names of chapters", "language pt-BR of stream #2", "tag COLLECTION/TITLE"):  # fmt: skip
        assert what in run.stderr, what
    assert "language ja " not in run.stderr
    assert not (tmp_path / "out.mp4.vscugan").exists()


def test_a_damaged_header_is_as_ffmpeg_writes_it(tmp_path: Path) -> None:
    """What can be decoded is encoded, and what could not be made out is said."""
    parts = (ids.INFO, ids.TRACKS, ids.CHAPTERS, ids.TAGS, ids.CLUSTER)
    broken = b"\x73\x73\xff no element"
    source = matroska_files.rebuilt(container_files.chapters(tmp_path), tmp_path / "broken.mkv", parts, TAGS=broken)
    output = encode_resized(source, tmp_path / "out.mkv", "ffv1")
    assert "note: chapters and tags are as ffmpeg writes them, since it finds other tracks" in output
    assert len(media.frame_hashes(tmp_path / "out.mkv")) == 30


def test_chapters_that_cannot_be_made_out_are_reported(tmp_path: Path) -> None:
    source = matroska_files.matroska_with_all(tmp_path)
    header = read_header(source)
    assert header
    parts = (ids.INFO, ids.TRACKS, ids.CHAPTERS, ids.TAGS, ids.CLUSTER)
    broken = header.parts[ids.CHAPTERS] + b"\x45\xb9\x8fxx"
    damaged = matroska_files.rebuilt(source, tmp_path / "damaged.mkv", parts, CHAPTERS=broken)
    output = encode_resized(damaged, tmp_path / "out.mkv", "ffv1")
    assert "note: chapters and tags are as ffmpeg writes them, since there is an EBML element without an end" in output


def test_timecodes_beside_chapters_are_reported(tmp_path: Path) -> None:
    source, text, script = tmp_path / "in.mov", tmp_path / "c.txt", tmp_path / "resize.vpy"
    script.write_text(media.RESIZE)
    text.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=A\n")
    media.ffmpeg(*media.picture(), "-i", text, "-map", 0, "-map_metadata", 1, *media.FAST, "-timecode", "01:00:00:00",
                 source)  # fmt: skip
    argv = ("encode", source, "-o", tmp_path / "out.mkv", "--script", script, "--encoder", "ffv1")
    run = subprocess.run(media.command(*argv), capture_output=True, text=True, check=False)
    assert run.returncode == 4
    assert "which can't hold data #2 (eng); say --leave-out to lose it" in run.stderr
    assert subprocess.run(media.command(*argv, "--leave-out"), check=False).returncode == 0
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert len(file.chapters()) == 1
