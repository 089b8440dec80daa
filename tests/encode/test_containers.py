"""Everything that a container holds comes through, or is refused before the start; encoders are told the colour."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import vapoursynth as vs
from hypothesis import given
from hypothesis import strategies as st
from support import media

from vscugan.encode.container import ebml
from vscugan.encode.container import matroska_ids as ids
from vscugan.encode.container.matroska_header import PARTS, read_header
from vscugan.encode.container.matroska_restore import _target, _targets, put_back
from vscugan.encode.encoders.programs import find_ffmpeg

COLOUR = ("_Matrix", "_Primaries", "_Transfer", "_Range", "_ChromaLocation")
HDR = ("Mastering", "ContentLight")
#: what each source must tell of itself, before it is looked for in a result
SHADES: dict[str, dict[str, Any]] = {
    "hdr10": {"_Matrix": 9, "_Primaries": 9, "_Transfer": 16, "_Range": 0, "_ChromaLocation": 2},
    "hlg": {"_Matrix": 9, "_Primaries": 9, "_Transfer": 18, "_Range": 0, "_ChromaLocation": 2},
    "full_range": {"_Matrix": 6, "_Primaries": 6, "_Transfer": 6, "_Range": 1, "_ChromaLocation": 0,
                   "sar": Fraction(8, 9)},
}  # fmt: skip
ENCODERS: dict[str, tuple[object, ...]] = {
    "x265": ("--preset", "ultrafast"), "x264": ("--preset", "ultrafast"), "svt-av1": ("--preset", 10), "ffv1": (),
}  # fmt: skip


def encode(source: Path, output: Path, encoder: str, *words: object) -> str:
    """Encode by a resize, no network; returns what was said."""
    script = output.parent / "resize.vpy"
    script.write_text(media.RESIZE)
    command = media.command("encode", source, "-o", output, "--script", script, "--encoder", encoder, "--", *words)
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def told(path: Path) -> dict[str, Any]:
    """What a video's first frame tells of its colour, and the container of its shape, since AV1 has none."""
    with vs.core.bs.VideoSource(str(path), cachemode=0).get_frame(0) as frame:
        found = {name: value for name, value in frame.props.items() if name in COLOUR or name.startswith(HDR)}
    with av.open(str(path)) as file:
        return found | {"sar": file.streams.video[0].sample_aspect_ratio}


@pytest.mark.parametrize(("what", "make"), media.FIXTURES, ids=lambda v: getattr(v, "__name__", ""))
def test_everything_is_kept(tmp_path: Path, what: str, make: media.Callable[[Path], Path]) -> None:
    (tmp_path / "in").mkdir()
    source = make(tmp_path / "in")
    result = tmp_path / f"out{source.suffix}"
    encode(source, result, "x265" if make is media.hdr10 else "x264", "--preset", "medium", "--crf", 20)
    count, lost = media.compare(source, result)
    assert not lost
    assert count > 30
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["in", result.name, f"{result.name}.cugan.json", "resize.vpy"]
    )


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("shade", SHADES)
def test_every_encoder_is_told_the_colour(tmp_path: Path, shade: str, encoder: str) -> None:
    (tmp_path / "in").mkdir()
    source, result = getattr(media, shade)(tmp_path / "in"), tmp_path / "out.mkv"
    wanted = told(source)
    wanted["sar"] = wanted["sar"] or 1  # what is not told is square, and is told so
    assert {name: wanted[name] for name in SHADES[shade]} == SHADES[shade]
    assert ("MasteringDisplayMaxLuminance" in wanted) == (shade == "hdr10")
    said = encode(source, result, encoder, *ENCODERS[encoder])
    left_out = encoder == "ffv1" and shade == "hdr10"
    assert ("note: mastering display and light levels are left out, since ffv1 is not told them" in said) == left_out
    if left_out:
        wanted = {name: value for name, value in wanted.items() if not name.startswith(HDR)}
    found = told(result)
    # AV1 holds what HDR was mastered on in other steps
    assert {name: found.get(name) for name in wanted} == {
        name: pytest.approx(value, abs=2e-5) for name, value in wanted.items()
    }
    if encoder == "ffv1":  # what is said of the samples changes none
        words = ("verify", result, "--source", source, "--script", tmp_path / "resize.vpy", "--frames", 30)
        run = subprocess.run(media.command(*words), capture_output=True, text=True, check=False)
        assert run.stdout.count("same bits; coded at 120.0 dB") == 30


def test_any_program_that_reads_y4m(tmp_path: Path) -> None:
    source, result = media.full_range(tmp_path), tmp_path / "out.mkv"
    flags = "colour_primaries={primaries}:transfer_characteristics={transfer}:matrix_coefficients={matrix}"
    words = ("-v", "error", "-y", "-f", "yuv4mpegpipe", "-i", "-", "-c:v", "libx264", "-preset", "ultrafast", "-bsf:v",
             f"h264_metadata={flags}", "{output}.mp4")  # fmt: skip
    assert " frames to 128x96 YUV420P8, 24 fps, by " in encode(source, result, find_ffmpeg(), *words)
    assert len(media.frame_hashes(result)) == 30
    assert {name: told(result)[name] for name in SHADES["full_range"]} == SHADES["full_range"]


def test_what_only_matroska_holds_is_said_before_the_start(tmp_path: Path) -> None:
    source, script = media.matroska_with_all(tmp_path), tmp_path / "resize.vpy"
    script.write_text(media.RESIZE)
    words = ("encode", source, "-o", tmp_path / "out.mp4", "--script", script, "--encoder", "x264")
    run = subprocess.run(media.command(*words), capture_output=True, text=True, check=False)
    assert run.returncode == 4
    for what in ("further editions of chapters", "the order of chapters", "chapters inside chapters", "hidden chapters",
                 "further names of chapters", "language pt-BR of stream #2", "tag COLLECTION/TITLE"):  # fmt: skip
        assert what in run.stderr, what
    assert "language ja " not in run.stderr
    assert not (tmp_path / "out.mp4.vscugan").exists()


def test_what_is_put_back_refers_to_what_is_there(tmp_path: Path) -> None:
    """As a reader of its own sees it: seek points, tags, and a header without a hole."""
    result = tmp_path / "out.mkv"
    encode(media.matroska_with_all(tmp_path), result, "ffv1")
    command = [find_ffmpeg(), "-v", "warning", "-i", str(result), "-map", "0:v", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert not [line for line in said.splitlines() if "Attachment" not in line and "analyzeduration" not in line]
    with open(result, "rb") as file:
        places = list(ebml.walk(file, (ids.SEGMENT,)))
        start = next(place.payload for place in places if place.id == ids.SEGMENT)
        seek_head = next(place for place in places if place.id == ids.SEEK_HEAD)
        file.seek(seek_head.payload)
        seeks = [
            {e.id: e.number for e in ebml.elements(seek.payload)} for seek in ebml.elements(file.read(seek_head.size))
        ]
    named = {seek[ids.SEEK_ID]: seek[ids.SEEK_POSITION] for seek in seeks}
    assert named == {place.id: place.start - start for place in places if place.id in (*PARTS, ids.CUES)}
    assert places[-1].payload + (places[-1].size or 0) == result.stat().st_size


def test_a_damaged_header_is_as_ffmpeg_writes_it(tmp_path: Path) -> None:
    """What can be decoded is encoded, and what could not be made out is said."""
    parts = (ids.INFO, ids.TRACKS, ids.CHAPTERS, ids.TAGS, ids.CLUSTER)
    broken = b"\x73\x73\xff no element"
    source = media.rebuilt(media.chapters(tmp_path), tmp_path / "broken.mkv", parts, TAGS=broken)
    said = encode(source, tmp_path / "out.mkv", "ffv1")
    assert "note: chapters and tags are as ffmpeg writes them, since it finds other tracks" in said
    assert len(media.frame_hashes(tmp_path / "out.mkv")) == 30


def test_chapters_that_cannot_be_made_out_are_said(tmp_path: Path) -> None:
    source = media.matroska_with_all(tmp_path)
    header = read_header(source)
    assert header
    parts = (ids.INFO, ids.TRACKS, ids.CHAPTERS, ids.TAGS, ids.CLUSTER)
    broken = header.parts[ids.CHAPTERS] + b"\x45\xb9\x8fxx"
    damaged = media.rebuilt(source, tmp_path / "damaged.mkv", parts, CHAPTERS=broken)
    said = encode(damaged, tmp_path / "out.mkv", "ffv1")
    assert "note: chapters and tags are as ffmpeg writes them, since there is an EBML element without an end" in said


def test_parts_behind_a_damaged_place_are_kept(tmp_path: Path) -> None:
    """As libav reaches them: by the seek head."""
    source = media.matroska_with_all(tmp_path)
    parts = (
        ids.INFO,
        ids.TRACKS,
        ids.ATTACHMENTS,
        ids.CLUSTER,
        0,
        ids.CHAPTERS,
        ids.TAGS,
    )
    damaged = media.rebuilt(source, tmp_path / "damaged.mkv", parts, hole=64)
    encode(damaged, tmp_path / "out.mkv", "ffv1")
    before, after = read_header(damaged), read_header(tmp_path / "out.mkv")
    assert before
    assert after
    assert before.parts[ids.CHAPTERS]
    assert after.parts[ids.CHAPTERS] == before.parts[ids.CHAPTERS]
    assert b"of the font" in after.parts[ids.TAGS]


def test_a_seek_head_cannot_make_us_read_what_is_not_there(tmp_path: Path) -> None:
    """Neither what a part says of its size, nor where it is said to be, is believed beyond the file's end."""
    source, parts = media.chapters(tmp_path), (ids.INFO, ids.TRACKS, ids.CHAPTERS, ids.CLUSTER, 0,
                                               ids.TAGS)  # fmt: skip
    path = media.rebuilt(source, tmp_path / "crafted.mkv", parts, hole=64)
    whole = path.read_bytes()
    header = read_header(path)
    assert header
    tags = ebml.encode(ids.TAGS, header.parts[ids.TAGS])
    assert whole.endswith(tags)
    id, far = tags[:4], (1 << 46 | 1 << 56).to_bytes(8)
    path.write_bytes(whole[: -len(tags)] + id + far + tags[-64:])
    with pytest.raises(ValueError, match=r"^a part that ends behind the file's end$"):
        read_header(path)
    with open(path, "r+b") as file:  # so large and there, without taking room on the disk
        file.seek(len(whole) - len(tags) + 4)
        file.write((1 << 31 | 1 << 56).to_bytes(8))
        file.truncate(1 << 32)
    with pytest.raises(ValueError, match=r"^a header of more than 1024 MiB$"):
        read_header(path)
    place = whole.index(ebml.encode(ids.SEEK_ID, id)) + 7
    for position in ((1 << 63).to_bytes(8), b"\xff" * 8):
        path.write_bytes(whole[: place + 3] + position + whole[place + 11 :])
        header = read_header(path)
        assert header
        assert not header.parts[ids.TAGS]


@pytest.mark.parametrize("uids", [(0, 0, 9), (5, 5, 9)], ids=str)
def test_ids_that_tell_nothing_apart_are_not_taken(tmp_path: Path, uids: tuple[int, ...]) -> None:
    source = media.matroska_with_all(tmp_path)
    header = read_header(source)
    assert header
    tracks = b"".join(
        ebml.encode(entry.id, ebml.without(entry.payload, ids.TRACK_UID)
                    + ebml.encode(ids.TRACK_UID, uid.to_bytes(8)))
        for entry, uid in zip(header.entries, uids, strict=False)
    )  # fmt: skip
    parts = (ids.INFO, ids.TRACKS, ids.CHAPTERS, ids.CLUSTER)
    odd = media.rebuilt(source, tmp_path / "odd.mkv", parts, TRACKS=tracks)
    encode(odd, tmp_path / "out.mkv", "ffv1")
    made = read_header(tmp_path / "out.mkv")
    assert made
    found = [_target(entry) for entry in made.entries]
    assert len(set(found)) == 3
    assert found[2] == (ids.OF_TRACK, 9)
    assert all(uid for _, uid in found)
    aims = [aim for tag in ebml.elements(made.parts[ids.TAGS]) for aim in _targets(tag)]
    assert sorted(aims) == sorted(found)  # a duration each


def test_what_is_attached_is_not_held_in_memory(tmp_path: Path) -> None:
    header = read_header(media.fonts(tmp_path))
    assert header
    assert len(header.entries) == 3
    assert len(header.parts[ids.ATTACHMENTS]) < 200


def test_sound_of_a_transport_stream_is_copied(tmp_path: Path) -> None:
    """ffmpeg takes the heads off its packets; what they hold is compared with what it makes of the sound alone."""
    source = tmp_path / "in.ts"
    media.ffmpeg(*media.picture(), *media.sound(440), "-map", 0, "-map", 1, *media.FAST, "-c:a", "aac", source)
    for name, encoder in (("out.mkv", "ffv1"), ("out.mp4", "x264")):
        encode(source, tmp_path / name, encoder)
        with av.open(str(tmp_path / name)) as file:
            assert [stream.codec_context.name for stream in file.streams.audio] == ["aac"]
            assert sum(frame.samples for frame in file.decode(audio=0)) > 50000


def test_timecodes_beside_chapters_are_said(tmp_path: Path) -> None:
    source, text, script = tmp_path / "in.mov", tmp_path / "c.txt", tmp_path / "resize.vpy"
    script.write_text(media.RESIZE)
    text.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=A\n")
    media.ffmpeg(*media.picture(), "-i", text, "-map", 0, "-map_metadata", 1, *media.FAST, "-timecode", "01:00:00:00",
                 source)  # fmt: skip
    words = ("encode", source, "-o", tmp_path / "out.mkv", "--script", script, "--encoder", "ffv1")
    run = subprocess.run(media.command(*words), capture_output=True, text=True, check=False)
    assert run.returncode == 4
    assert "which can't hold data #2 (eng); say --leave-out to lose it" in run.stderr
    assert subprocess.run(media.command(*words, "--leave-out"), check=False).returncode == 0
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert len(file.chapters()) == 1


def test_a_file_without_room_is_left_as_it_is(tmp_path: Path) -> None:
    source, made = media.matroska_with_all(tmp_path), tmp_path / "made.mkv"
    media.ffmpeg("-i", source, "-map", 0, "-c", "copy", made)
    content, header = made.read_bytes(), read_header(source)
    assert header
    for streams, reason in (((0, 1, 2, 3), "no room for the header, "), ((0, 1), "no Matroska file of these streams")):
        with pytest.raises(ValueError, match=reason):
            put_back(header, streams, 0, made)
    assert made.read_bytes() == content


@given(data=st.binary(max_size=200))
def test_a_header_of_anything_is_whole_or_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "anything.mkv"
    head, entry = ebml.encode(ids.EBML, b""), ebml.encode(ids.CODEC_ID, b"x") + b"\x83\x81\x01"
    tracks = ebml.encode(ids.TRACKS, ebml.encode(ids.TRACK, entry))
    path.write_bytes(head + ebml.encode(ids.SEGMENT, tracks + ebml.encode(ids.CHAPTERS, data) + data))
    try:
        header = read_header(path)
    except ValueError:
        return
    assert header
    assert header.parts[ids.CHAPTERS] == data


def test_elements_are_read_as_they_were_written() -> None:
    for length in (0, 126, 127, 128, 16382, 16383):
        element = ebml.Element(ids.TAG, bytes(length))
        assert list(ebml.elements(element.encoded() * 2 + ebml.encode_void(9))) == [
            element, element, ebml.Element(ebml.VOID, b"")
        ]  # fmt: skip
