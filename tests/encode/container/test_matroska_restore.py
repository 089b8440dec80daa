"""What libav does not write is put back into its file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support import matroska_files, media
from support.encode_runs import encode_resized

from vscugan.encode.container import ebml
from vscugan.encode.container import matroska_ids as ids
from vscugan.encode.container.matroska_header import PARTS, read_header
from vscugan.encode.container.matroska_restore import _target, _targets, put_back
from vscugan.encode.encoders.programs import find_ffmpeg


def test_what_is_put_back_refers_to_what_is_there(tmp_path: Path) -> None:
    """As a reader of its own sees it: seek points, tags, and a header without a hole."""
    result = tmp_path / "out.mkv"
    encode_resized(matroska_files.matroska_with_all(tmp_path), result, "ffv1")
    command = [find_ffmpeg(), "-v", "warning", "-i", str(result), "-map", "0:v", "-f", "null", "-"]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert not [line for line in log.splitlines() if "Attachment" not in line and "analyzeduration" not in line]
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


@pytest.mark.parametrize("uids", [(0, 0, 9), (5, 5, 9)], ids=str)
def test_ids_that_are_not_unique_are_not_taken(tmp_path: Path, uids: tuple[int, ...]) -> None:
    source = matroska_files.matroska_with_all(tmp_path)
    header = read_header(source)
    assert header
    tracks = b"".join(
        ebml.encode(entry.id, ebml.without(entry.payload, ids.TRACK_UID)
                    + ebml.encode(ids.TRACK_UID, uid.to_bytes(8)))
        for entry, uid in zip(header.entries, uids, strict=False)
    )  # fmt: skip
    parts = (ids.INFO, ids.TRACKS, ids.CHAPTERS, ids.CLUSTER)
    odd = matroska_files.rebuilt(source, tmp_path / "odd.mkv", parts, TRACKS=tracks)
    encode_resized(odd, tmp_path / "out.mkv", "ffv1")
    written = read_header(tmp_path / "out.mkv")
    assert written
    found = [_target(entry) for entry in written.entries]
    assert len(set(found)) == 3
    assert found[2] == (ids.OF_TRACK, 9)
    assert all(uid for _, uid in found)
    targets = [target for tag in ebml.elements(written.parts[ids.TAGS]) for target in _targets(tag)]
    assert sorted(targets) == sorted(found)  # a duration each


def test_a_file_without_padding_stays_as_it_is(tmp_path: Path) -> None:
    source, written = matroska_files.matroska_with_all(tmp_path), tmp_path / "written.mkv"
    media.ffmpeg("-i", source, "-map", 0, "-c", "copy", written)
    content, header = written.read_bytes(), read_header(source)
    assert header
    for streams, reason in (((0, 1, 2, 3), "no room for the header, "), ((0, 1), "no Matroska file of these streams")):
        with pytest.raises(ValueError, match=reason):
            put_back(header, streams, 0, written)
    assert written.read_bytes() == content
