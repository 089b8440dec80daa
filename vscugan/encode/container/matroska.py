"""What Matroska holds and libav's muxer does not write: chapters and tags as they stand, and BCP 47 languages.

libav takes the chapters of all editions for one list, leaves out those inside others, all names but the last, their
languages and flags, and forgets at what a tag is aimed. So these are put back byte by byte into the file that it has
written, in room that it was asked to leave. Elements: RFC 9559.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from vscugan.encode.container.ebml import (
    CRC32,
    SHORTEST_VOID,
    Element,
    Place,
    elements,
    encode,
    encode_void,
    place_at,
    walk,
)
from vscugan.encode.container.streams import COVER, Track, is_stale
from vscugan.errors import DiskError

EBML, SEGMENT, CLUSTER, CUES = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1C53BB6B
SEEK_HEAD, SEEK, SEEK_ID, SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
INFO, TITLE, SEGMENT_UID, SEGMENT_FILE, FAMILY = 0x1549A966, 0x7BA9, 0x73A4, 0x7384, 0x4444
PREVIOUS_UID, PREVIOUS_FILE, NEXT_UID, NEXT_FILE, TRANSLATED = 0x3CB923, 0x3C83AB, 0x3EB923, 0x3E83BB, 0x6924
TRACKS, TRACK, TRACK_UID, TRACK_TYPE, CODEC_ID, BCP47 = 0x1654AE6B, 0xAE, 0x73C5, 0x83, 0x86, 0x22B59D
ATTACHMENTS, FILE, FILE_UID, FILE_NAME, FILE_TYPE, FILE_DATA = 0x1941A469, 0x61A7, 0x46AE, 0x466E, 0x4660, 0x465C
CHAPTERS, EDITION, IS_ORDERED, CHAPTER, IS_HIDDEN, NAME = 0x1043A770, 0x45B9, 0x45DD, 0xB6, 0x98, 0x80
TAGS, TAG, TARGETS, SIMPLE_TAG, TAG_NAME = 0x1254C367, 0x7373, 0x63C0, 0x67C8, 0x45A3
OF_TRACK, OF_EDITION, OF_CHAPTER, OF_FILE = 0x63C5, 0x63C9, 0x63C4, 0x63C6
#: the types of tracks that libav makes streams of, and its names for them
KINDS = {1: "video", 2: "audio", 0x11: "subtitle", 0x21: "data"}
#: of the file's description: its title, and what other files refer to it by, as chapters of theirs do
KEPT_OF_INFO = (TITLE, SEGMENT_UID, SEGMENT_FILE, FAMILY, PREVIOUS_UID, PREVIOUS_FILE, NEXT_UID, NEXT_FILE, TRANSLATED)
#: a header's parts, in the order in which they are written
PARTS = (INFO, TRACKS, CHAPTERS, ATTACHMENTS, TAGS)
#: what a header may grow by, beyond the parts that are put back
SPARE_BYTES = 1024
TRACK_BYTES = 64
#: all parts of a header together, attached files among them; they are held in memory
MOST_BYTES = 1 << 30
TOO_LARGE = f"a header of more than {MOST_BYTES >> 20} MiB"

#: what a tag is aimed at: of which kind, and its UID
Aim = tuple[int, int]


@dataclass(frozen=True)
class Header:
    """What a file tells besides its pictures and sound: its parts by their IDs, each without its head.

    Attached files may stand there without what they hold.
    """

    parts: dict[int, bytes]

    @cached_property
    def entries(self) -> tuple[Element, ...]:
        """The entry of each of libav's streams, in its order: tracks, then attached files."""
        tracks = (
            entry for entry in _of(self.parts[TRACKS], TRACK) if _of(entry.payload, CODEC_ID) and _type(entry) in KINDS
        )
        files = (
            entry
            for entry in _of(self.parts[ATTACHMENTS], FILE)
            if all(_of(entry.payload, id) for id in (FILE_NAME, FILE_TYPE, FILE_DATA))
        )
        return (*tracks, *files)

    def beyond_libav(self) -> tuple[str, ...]:
        """What only Matroska holds of chapters and languages, in words, for an output of another kind.

        Raises: ValueError where chapters can't be made out.
        """
        editions = _of(self.parts[CHAPTERS], EDITION)
        chapters = [chapter for edition in editions for chapter in _chapters(edition)]
        found = {
            "further editions of chapters": len(editions) > 1,
            "the order of chapters": any(_flag(edition, IS_ORDERED) for edition in editions),
            "chapters inside chapters": any(_of(chapter.payload, CHAPTER) for chapter in chapters),
            "hidden chapters": any(_flag(chapter, IS_HIDDEN) for chapter in chapters),
            "further names of chapters": any(len(_of(chapter.payload, NAME)) > 1 for chapter in chapters),
        }
        languages = (
            f"language {language.text} of stream #{number}"
            for number, entry in enumerate(self.entries)
            for language in _of(entry.payload, BCP47)
            if "-" in language.text
        )
        return (*(name for name, is_there in found.items() if is_there), *languages)

    def is_of(self, streams: Sequence[Track]) -> bool:
        """Whether these are the streams that libav makes of the entries, so that one can be told from the other."""
        kinds = [KINDS.get(_type(entry), "attachment") for entry in self.entries]
        names = {"unknown": "data"}
        found = ["attachment" if track.disposition & COVER else names.get(track.kind, track.kind) for track in streams]
        return kinds == found

    @property
    def room(self) -> int:
        """The bytes to be left behind libav's header, so that all of this can be put back."""
        return sum(len(self.parts[id]) for id in (INFO, CHAPTERS, TAGS)) + TRACK_BYTES * len(self.entries) + SPARE_BYTES


def left_to_libav(reason: object) -> str:
    """For people: that nothing is put back, and why."""
    return f"chapters and tags are as ffmpeg writes them, since {reason}"


def read_header(path: Path, *, with_files: bool = False) -> Header | None:
    """The header of a Matroska file, None for a file of another kind; ``with_files``: with what is attached.

    Raises: ValueError where its tracks can't be made out, OSError.
    """
    parts = dict.fromkeys(PARTS, b"")
    seeks: dict[int, int] = {}
    with open(path, "rb") as file:
        places = list(walk(file, (SEGMENT,)))
        if not places or places[0].id != EBML:
            return None
        start = next((place.payload for place in places if place.id == SEGMENT), 0)
        end = file.seek(0, 2)
        for place in places:
            if place.id == SEEK_HEAD:
                seeks |= _seeks(_held(file, place))
        found = {place.id for place in places}
        # behind a damaged place the parts can be reached this way only
        for id, at in seeks.items():
            hidden = None if id in found or start + at >= end else place_at(file, start + at)
            if hidden and hidden.id == id:
                places.append(hidden)
        held = [place for place in places if place.id in PARTS]
        if any(place.payload + (place.size or 0) > end for place in held):
            raise ValueError("a part that ends behind the file's end")
        if sum(place.size or 0 for place in held) > MOST_BYTES:
            raise ValueError(TOO_LARGE)
        for place in held:
            if place.id == CHAPTERS and parts[CHAPTERS]:
                continue
            payload = _held(file, place)
            parts[place.id] += payload if with_files or place.id != ATTACHMENTS else _without_content(payload)
    header = Header(parts)
    if not header.entries:
        raise ValueError("no track in it")
    return header


def put_back(header: Header, streams: Sequence[int], video: int, output: Path) -> None:
    """Write a source's chapters, tags, languages and IDs into the file that libav made of it.

    ``streams`` tells for each of the output's streams, tracks before attached files, which one of the source it was;
    ``video`` is the source's stream that was coded anew.
    Raises: ValueError, before anything is written, where that can't be done; DiskError, OSError.
    """
    made = read_header(output, with_files=True)
    if made is None or len(made.entries) != len(streams):
        raise ValueError("no Matroska file of these streams")
    counts = Counter(_aim(entry) for entry in header.entries)
    entries = [_renamed(new, header.entries[number], counts) for new, number in zip(made.entries, streams, strict=True)]
    aims = [_aim(entry) for entry in entries]
    new_aims = dict(zip((_aim(entry) for entry in made.entries), aims, strict=True))
    kept_info = [element for element in elements(header.parts[INFO]) if element.id in KEPT_OF_INFO]
    info = _without(made.parts[INFO], TITLE, CRC32, *(element.id for element in kept_info))
    tags = list(_kept_tags(header, aims, _aim(header.entries[video])))
    parts = {
        INFO: info + b"".join(element.encoded() for element in kept_info),
        TRACKS: b"".join(entry.encoded() for entry in entries if entry.id == TRACK),
        CHAPTERS: header.parts[CHAPTERS],
        ATTACHMENTS: b"".join(entry.encoded() for entry in entries if entry.id == FILE),
        TAGS: b"".join(tags) + b"".join(_durations(made, new_aims, tags)),
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


def _of(payload: bytes, id: int) -> list[Element]:
    return [element for element in elements(payload) if element.id == id]


def _without(payload: bytes, *ids: int) -> bytes:
    return b"".join(element.encoded() for element in elements(payload) if element.id not in ids)


def _type(entry: Element) -> int:
    return next((found.number for found in _of(entry.payload, TRACK_TYPE)), 0)


def _flag(element: Element, id: int) -> bool:
    return any(flag.number for flag in _of(element.payload, id))


def _chapters(edition: Element) -> Iterator[Element]:
    """All chapters of an edition, those inside others too."""
    waiting = _of(edition.payload, CHAPTER)
    while waiting:
        chapter = waiting.pop()
        yield chapter
        waiting += _of(chapter.payload, CHAPTER)


def _held(file: BinaryIO, place: Place) -> bytes:
    if (place.size or 0) > MOST_BYTES:
        raise ValueError(TOO_LARGE)
    file.seek(place.payload)
    return file.read(place.size or 0)


def _without_content(attachments: bytes) -> bytes:
    """Attached files without what they hold, as far as they hold something."""
    slim = b""
    for entry in _of(attachments, FILE):
        told = [e for e in elements(entry.payload) if e.id != FILE_DATA or e.payload]
        slim += encode(FILE, b"".join(encode(e.id, b"" if e.id == FILE_DATA else e.payload) for e in told))
    return slim


def _aim(entry: Element) -> Aim:
    """What a tag says that is aimed at this stream."""
    id, own = (OF_TRACK, TRACK_UID) if entry.id == TRACK else (OF_FILE, FILE_UID)
    found = _of(entry.payload, own)
    return id, found[0].number if found else 0


def _renamed(new: Element, old: Element, counts: Counter[Aim]) -> Element:
    """A new stream's entry with the old one's ID, which chapters and tags refer to, and its language."""
    _, number = aim = _aim(old)
    ids = [TRACK_UID, FILE_UID, BCP47] if number and counts[aim] == 1 else [BCP47]
    told = [element for element in elements(old.payload) if element.id in ids]
    rest = _without(new.payload, CRC32, *(element.id for element in told))
    return Element(new.id, rest + b"".join(element.encoded() for element in told))


def _aims(tag: Element) -> set[Aim]:
    """What a tag is aimed at; nothing where it is the whole file."""
    found = (e for targets in _of(tag.payload, TARGETS) for e in elements(targets.payload))
    return {(e.id, e.number) for e in found if e.id in (OF_TRACK, OF_EDITION, OF_CHAPTER, OF_FILE) and e.number}


def _name(simple: Element) -> str:
    return "".join(name.text for name in _of(simple.payload, TAG_NAME))


def _kept_tags(header: Header, kept: Sequence[Aim], video: Aim) -> Iterator[bytes]:
    """The tags of what is kept, but for those that tell of the old coding."""
    for tag in _of(header.parts[TAGS], TAG):
        aims = _aims(tag)
        streams = {aim for aim in aims if aim[0] in (OF_TRACK, OF_FILE)}
        if streams and not streams & set(kept):
            continue
        tells_of_video = aims <= {video}
        told = [
            element
            for element in elements(tag.payload)
            if element.id != CRC32 and not (element.id == SIMPLE_TAG and tells_of_video and is_stale(_name(element)))
        ]
        if any(element.id == SIMPLE_TAG for element in told):
            yield encode(TAG, b"".join(element.encoded() for element in told))


def _durations(made: Header, aims: dict[Aim, Aim], tags: Sequence[bytes]) -> Iterator[bytes]:
    """libav's duration of each track whose own tags tell none; some programs look there only."""
    told = {
        aim
        for tag in elements(b"".join(tags))
        for aim in _aims(tag)
        if any(_name(simple).upper() == "DURATION" for simple in _of(tag.payload, SIMPLE_TAG))
    }
    for tag in _of(made.parts[TAGS], TAG):
        lengths = [simple for simple in _of(tag.payload, SIMPLE_TAG) if _name(simple).upper() == "DURATION"]
        for id, uid in {aims[aim] for aim in _aims(tag) if lengths and aim in aims} - told:
            targets = Element(TARGETS, encode(id, uid.to_bytes(8)))
            yield encode(TAG, targets.encoded() + b"".join(simple.encoded() for simple in lengths))


def _write_parts(parts: dict[int, bytes], output: Path) -> None:
    """Write a header anew between the segment's beginning and the first cluster, which stay where they are."""
    with open(output, "r+b") as file:
        places: dict[int, Place] = {}
        for place in walk(file, (SEGMENT,)):
            places.setdefault(place.id, place)
            if place.id == CLUSTER:
                break
        start, end = places[SEGMENT].payload, places[CLUSTER].start
        seeks = _seeks(_held(file, places[SEEK_HEAD]))
        positions = dict.fromkeys(parts, 0) | {id: at for id, at in seeks.items() if id == CUES}
        position = len(_seek_head(positions))
        for id, payload in parts.items():
            positions[id] = position
            position += len(encode(id, payload))
        room = end - start - position
        if room < SHORTEST_VOID:
            raise ValueError(f"no room for the header, {-room} bytes too few")
        file.seek(start)
        file.write(_seek_head(positions) + b"".join(encode(id, payload) for id, payload in parts.items()))
        file.write(encode_void(room))


def _seeks(seek_head: bytes) -> dict[int, int]:
    """Where parts of a file begin, from the segment's payload on."""
    found = ({e.id: e.number for e in elements(seek.payload)} for seek in _of(seek_head, SEEK))
    return {fields[SEEK_ID]: fields[SEEK_POSITION] for fields in found if {SEEK_ID, SEEK_POSITION} <= fields.keys()}


def _seek_head(positions: dict[int, int]) -> bytes:
    return encode(
        SEEK_HEAD,
        b"".join(
            encode(SEEK, encode(SEEK_ID, id.to_bytes(4)) + encode(SEEK_POSITION, position.to_bytes(8)))
            for id, position in positions.items()
        ),
    )
