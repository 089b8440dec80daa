"""The header of a Matroska file: what it says besides its video and sound, as it stands. Elements: RFC 9559."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from vscugan.encode.container import matroska_ids as ids
from vscugan.encode.container.ebml import CRC32, Element, Place, elements, encode, of_id, place_at, walk, without
from vscugan.encode.container.streams import COVER, Track
from vscugan.encode.container.timeline import Span

#: the types of tracks that libav makes streams of, and its names for them
KINDS = {1: "video", 2: "audio", 0x11: "subtitle", 0x21: "data"}
#: a header's parts, in the order in which they are written
PARTS = (ids.INFO, ids.TRACKS, ids.CHAPTERS, ids.ATTACHMENTS, ids.TAGS)
#: what a header may grow by, beyond the parts that are put back
SPARE_BYTES = 1024
TRACK_BYTES = 64
#: all parts of a header together, attached files among them; they are held in memory
MOST_BYTES = 1 << 30
TOO_LARGE = f"a header of more than {MOST_BYTES >> 20} MiB"


@dataclass(frozen=True)
class Header:
    """What a file says besides its video and sound: its parts by their IDs, each without its head.

    Attached files may stand there without their content.
    """

    parts: dict[int, bytes]

    @cached_property
    def entries(self) -> tuple[Element, ...]:
        """The entry of each of libav's streams, in its order: tracks, then attached files."""
        tracks = (
            entry
            for entry in of_id(self.parts[ids.TRACKS], ids.TRACK)
            if of_id(entry.payload, ids.CODEC_ID) and _track_type(entry) in KINDS
        )
        files = (
            entry
            for entry in of_id(self.parts[ids.ATTACHMENTS], ids.FILE)
            if all(of_id(entry.payload, id) for id in (ids.FILE_NAME, ids.FILE_TYPE, ids.FILE_DATA))
        )
        return (*tracks, *files)

    def beyond_libav(self) -> tuple[str, ...]:
        """For people: what only Matroska holds of chapters and languages, and an output of another kind drops.

        Raises: ValueError where chapters can't be made out.
        """
        editions = of_id(self.parts[ids.CHAPTERS], ids.EDITION)
        chapters = [chapter for edition in editions for chapter in _chapters(edition)]
        found = {
            "further editions of chapters": len(editions) > 1,
            "the order of chapters": any(_flag(edition, ids.IS_ORDERED) for edition in editions),
            "chapters inside chapters": any(of_id(chapter.payload, ids.CHAPTER) for chapter in chapters),
            "hidden chapters": any(_flag(chapter, ids.IS_HIDDEN) for chapter in chapters),
            "further names of chapters": any(len(of_id(chapter.payload, ids.NAME)) > 1 for chapter in chapters),
        }
        languages = (
            f"language {language.text} of stream #{number}"
            for number, entry in enumerate(self.entries)
            for language in of_id(entry.payload, ids.BCP47)
            if "-" in language.text
        )
        return (*(name for name, is_there in found.items() if is_there), *languages)

    def is_of(self, streams: Sequence[Track]) -> bool:
        """Whether these are the streams that libav makes of the entries, so that each can be found by its number."""
        kinds = [KINDS.get(_track_type(entry), "attachment") for entry in self.entries]
        names = {"unknown": "data"}
        found = ["attachment" if track.disposition & COVER else names.get(track.kind, track.kind) for track in streams]
        return kinds == found

    def cut(self, span: Span) -> Header:
        """The same for a part of the file: chapters begin earlier, and those outside are gone.

        Raises: ValueError where chapters can't be made out.
        """
        start, stop = (round(seconds * 1_000_000_000) for seconds in (span.start, span.stop))
        found = [part for part in elements(self.parts[ids.CHAPTERS]) if part.id != CRC32]
        cut = [_cut(part, start, stop) if part.id == ids.EDITION else part for part in found]
        kept = [part.encoded() for part in cut if part.id != ids.EDITION or of_id(part.payload, ids.CHAPTER)]
        return Header(self.parts | {ids.CHAPTERS: b"".join(kept)})

    @property
    def padding_bytes(self) -> int:
        """How many bytes libav must leave behind its header, so that all of this can be put back."""
        restored_bytes = sum(len(self.parts[id]) for id in (ids.INFO, ids.CHAPTERS, ids.TAGS))
        return restored_bytes + TRACK_BYTES * len(self.entries) + SPARE_BYTES


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
        places = list(walk(file, (ids.SEGMENT,)))
        if not places or places[0].id != ids.EBML:
            return None
        start = next((place.payload for place in places if place.id == ids.SEGMENT), 0)
        end = file.seek(0, 2)
        for place in places:
            if place.id == ids.SEEK_HEAD:
                seeks |= seek_positions(read_payload(file, place))
        found = {place.id for place in places}
        # behind a damaged place the parts can be reached this way only
        for id, at in seeks.items():
            hidden = None if id in found or start + at >= end else place_at(file, start + at)
            if hidden and hidden.id == id:
                places.append(hidden)
        part_places = [place for place in places if place.id in PARTS]
        if any(place.payload + (place.size or 0) > end for place in part_places):
            raise ValueError("a part that ends behind the file's end")
        if sum(place.size or 0 for place in part_places) > MOST_BYTES:
            raise ValueError(TOO_LARGE)
        for place in part_places:
            if place.id == ids.CHAPTERS and parts[ids.CHAPTERS]:
                continue
            payload = read_payload(file, place)
            parts[place.id] += payload if with_files or place.id != ids.ATTACHMENTS else _without_content(payload)
    header = Header(parts)
    if not header.entries:
        raise ValueError("no track in it")
    return header


def _track_type(entry: Element) -> int:
    return next((found.number for found in of_id(entry.payload, ids.TRACK_TYPE)), 0)


def _flag(element: Element, id: int) -> bool:
    return any(flag.number for flag in of_id(element.payload, id))


def _cut(parent: Element, start: int, stop: int) -> Element:
    """An edition or a chapter with the chapters of a part of the file, in ns.

    Without an end of its own a chapter ends where the next one begins.
    """
    fields = [element for element in elements(parent.payload) if element.id != CRC32]
    chapters = [element for element in fields if element.id == ids.CHAPTER]
    begins = [_time(chapter, ids.TIME_START) or 0 for chapter in chapters]
    kept = {}
    for k, chapter in enumerate(chapters):
        end = _time(chapter, ids.TIME_END)
        if begins[k] < stop and (end or min((b for b in begins[k + 1 :] if b > begins[k]), default=stop)) > start:
            times = Element(ids.TIME_START, _number(max(begins[k], start) - start)).encoded()
            if end:
                times += Element(ids.TIME_END, _number(min(end, stop) - start)).encoded()
            inner = _cut(chapter, start, stop)
            kept[k] = Element(chapter.id, times + without(inner.payload, ids.TIME_START, ids.TIME_END))
    numbers = iter(range(len(chapters)))
    rest = [
        element if element.id != ids.CHAPTER else kept.get(next(numbers))
        for element in fields
    ]  # fmt: skip
    return Element(parent.id, b"".join(element.encoded() for element in rest if element))


def _time(chapter: Element, id: int) -> int | None:
    return next((time.number for time in of_id(chapter.payload, id)), None)


def _number(value: int) -> bytes:
    return value.to_bytes(8)


def _chapters(edition: Element) -> Iterator[Element]:
    """All chapters of an edition, those inside others too."""
    waiting = of_id(edition.payload, ids.CHAPTER)
    while waiting:
        chapter = waiting.pop()
        yield chapter
        waiting += of_id(chapter.payload, ids.CHAPTER)


def read_payload(file: BinaryIO, place: Place) -> bytes:
    """What an element of a file holds.

    Raises: ValueError where it is too large, OSError.
    """
    if (place.size or 0) > MOST_BYTES:
        raise ValueError(TOO_LARGE)
    file.seek(place.payload)
    return file.read(place.size or 0)


def _without_content(attachments: bytes) -> bytes:
    """Attached files without their content; an empty one stays without."""
    emptied = b""
    for entry in of_id(attachments, ids.FILE):
        fields = [e for e in elements(entry.payload) if e.id != ids.FILE_DATA or e.payload]
        emptied += encode(ids.FILE, b"".join(encode(e.id, b"" if e.id == ids.FILE_DATA else e.payload) for e in fields))
    return emptied


def seek_positions(seek_head: bytes) -> dict[int, int]:
    """Where parts of a file begin, from the segment's payload on."""
    found = ({e.id: e.number for e in elements(seek.payload)} for seek in of_id(seek_head, ids.SEEK))
    return {
        fields[ids.SEEK_ID]: fields[ids.SEEK_POSITION]
        for fields in found
        if {ids.SEEK_ID, ids.SEEK_POSITION} <= fields.keys()
    }
