"""What libav's muxer does not write into a Matroska file: chapters and tags as they stand, and BCP 47 languages.

libav takes the chapters of all editions for one list, leaves out those inside others, all names but the last, their
languages and flags, and forgets at what a tag is aimed. So these are put back byte by byte into the file that it has
written, in the padding that it was asked to leave. Elements: RFC 9559.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from vscugan.encode.container import matroska_ids as ids
from vscugan.encode.container.ebml import (
    CRC32,
    SHORTEST_VOID,
    Element,
    Place,
    elements,
    encode,
    encode_void,
    of_id,
    walk,
    without,
)
from vscugan.encode.container.matroska_header import Header, read_header, read_payload, seek_positions
from vscugan.encode.container.unsupported import is_stale
from vscugan.errors import DiskError

#: of the file's description: its title, and what other files refer to it by, as chapters of theirs do
KEPT_OF_INFO = (ids.TITLE, ids.SEGMENT_UID, ids.SEGMENT_FILE, ids.FAMILY, ids.PREVIOUS_UID, ids.PREVIOUS_FILE,
                ids.NEXT_UID, ids.NEXT_FILE, ids.TRANSLATED)  # fmt: skip
#: what a tag can be aimed at
TARGET_IDS = (ids.OF_TRACK, ids.OF_EDITION, ids.OF_CHAPTER, ids.OF_FILE)
#: what a tag is aimed at: its kind, as one of TARGET_IDS, and its UID
TagTarget = tuple[int, int]


def put_back(header: Header, streams: Sequence[int], video: int, output: Path) -> None:
    """Write a source's chapters, tags, languages and IDs into the file that libav made of it.

    ``streams`` has for each of the output's streams, tracks before attached files, its number in the source;
    ``video`` is the source's stream that was coded anew.
    Raises: ValueError, before anything is written, where that can't be done; DiskError, OSError.
    """
    old = read_header(output, with_files=True)
    if old is None or len(old.entries) != len(streams):
        raise ValueError("no Matroska file of these streams")
    counts = Counter(_target(entry) for entry in header.entries)
    entries = [_renamed(new, header.entries[number], counts) for new, number in zip(old.entries, streams, strict=True)]
    targets = [_target(entry) for entry in entries]
    new_targets = dict(zip((_target(entry) for entry in old.entries), targets, strict=True))
    kept_info = [element for element in elements(header.parts[ids.INFO]) if element.id in KEPT_OF_INFO]
    info = without(old.parts[ids.INFO], ids.TITLE, CRC32, *(element.id for element in kept_info))
    tags = list(_kept_tags(header, targets, _target(header.entries[video])))
    parts = {
        ids.INFO: info + b"".join(element.encoded() for element in kept_info),
        ids.TRACKS: b"".join(entry.encoded() for entry in entries if entry.id == ids.TRACK),
        ids.CHAPTERS: header.parts[ids.CHAPTERS],
        ids.ATTACHMENTS: b"".join(entry.encoded() for entry in entries if entry.id == ids.FILE),
        ids.TAGS: b"".join(tags) + b"".join(_durations(old, new_targets, tags)),
    }
    _write_parts({id: payload for id, payload in parts.items() if payload}, output)
    try:
        written = read_header(output, with_files=True)
    except ValueError:
        written = None
    if written is None or written.parts != parts:
        raise DiskError(
            "header of the finished file must read back as written, got another; run the same command again"
        )


def _target(entry: Element) -> TagTarget:
    """What a tag names that is aimed at this stream."""
    id, own = (ids.OF_TRACK, ids.TRACK_UID) if entry.id == ids.TRACK else (ids.OF_FILE, ids.FILE_UID)
    found = of_id(entry.payload, own)
    return id, found[0].number if found else 0


def _renamed(new: Element, old: Element, counts: Counter[TagTarget]) -> Element:
    """A new stream's entry with the old one's ID, which chapters and tags refer to, and its language."""
    _, uid = target = _target(old)
    copied_ids = [ids.TRACK_UID, ids.FILE_UID, ids.BCP47] if uid and counts[target] == 1 else [ids.BCP47]
    copied = [element for element in elements(old.payload) if element.id in copied_ids]
    rest = without(new.payload, CRC32, *(element.id for element in copied))
    return Element(new.id, rest + b"".join(element.encoded() for element in copied))


def _targets(tag: Element) -> set[TagTarget]:
    """What a tag is aimed at; nothing where it is the whole file."""
    found = (e for targets in of_id(tag.payload, ids.TARGETS) for e in elements(targets.payload))
    return {(e.id, e.number) for e in found if e.id in TARGET_IDS and e.number}


def _name(simple: Element) -> str:
    return "".join(name.text for name in of_id(simple.payload, ids.TAG_NAME))


def _kept_tags(header: Header, kept: Sequence[TagTarget], video: TagTarget) -> Iterator[bytes]:
    """The tags of what is kept, but for those that describe the old coding."""
    for tag in of_id(header.parts[ids.TAGS], ids.TAG):
        targets = _targets(tag)
        streams = {target for target in targets if target[0] in (ids.OF_TRACK, ids.OF_FILE)}
        if streams and not streams & set(kept):
            continue
        is_of_video = targets <= {video}
        fields = [
            element
            for element in elements(tag.payload)
            if element.id != CRC32 and not (element.id == ids.SIMPLE_TAG and is_of_video and is_stale(_name(element)))
        ]
        if any(element.id == ids.SIMPLE_TAG for element in fields):
            yield encode(ids.TAG, b"".join(element.encoded() for element in fields))


def _durations(old: Header, new_targets: dict[TagTarget, TagTarget], tags: Sequence[bytes]) -> Iterator[bytes]:
    """libav's duration of each track whose own tags have none; some programs look there only."""
    tagged = {
        target
        for tag in elements(b"".join(tags))
        for target in _targets(tag)
        if any(_name(simple).upper() == "DURATION" for simple in of_id(tag.payload, ids.SIMPLE_TAG))
    }
    for tag in of_id(old.parts[ids.TAGS], ids.TAG):
        lengths = [simple for simple in of_id(tag.payload, ids.SIMPLE_TAG) if _name(simple).upper() == "DURATION"]
        for id, uid in {new_targets[target] for target in _targets(tag) if lengths and target in new_targets} - tagged:
            targets = Element(ids.TARGETS, encode(id, uid.to_bytes(8)))
            yield encode(ids.TAG, targets.encoded() + b"".join(simple.encoded() for simple in lengths))


def _write_parts(parts: dict[int, bytes], output: Path) -> None:
    """Write a header anew between the segment's beginning and the first cluster, which stay where they are."""
    with open(output, "r+b") as file:
        places: dict[int, Place] = {}
        for place in walk(file, (ids.SEGMENT,)):
            places.setdefault(place.id, place)
            if place.id == ids.CLUSTER:
                break
        start, end = places[ids.SEGMENT].payload, places[ids.CLUSTER].start
        seeks = seek_positions(read_payload(file, places[ids.SEEK_HEAD]))
        positions = dict.fromkeys(parts, 0) | {id: at for id, at in seeks.items() if id == ids.CUES}
        position = len(_seek_head(positions))
        for id, payload in parts.items():
            positions[id] = position
            position += len(encode(id, payload))
        padding_bytes = end - start - position
        if padding_bytes < SHORTEST_VOID:
            raise ValueError(f"no room for the header, {-padding_bytes} bytes too few")
        file.seek(start)
        file.write(_seek_head(positions) + b"".join(encode(id, payload) for id, payload in parts.items()))
        file.write(encode_void(padding_bytes))


def _seek_head(positions: dict[int, int]) -> bytes:
    return encode(
        ids.SEEK_HEAD,
        b"".join(
            encode(ids.SEEK, encode(ids.SEEK_ID, id.to_bytes(4)) + encode(ids.SEEK_POSITION, position.to_bytes(8)))
            for id, position in positions.items()
        ),
    )
