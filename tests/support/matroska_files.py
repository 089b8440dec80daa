"""Matroska files with what mkvmerge writes and ffmpeg does not, and files put together of their parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from support.media import FAST, ffmpeg, picture, sound
from vscugan.encode.container import ebml
from vscugan.encode.container import matroska_ids as ids
from vscugan.encode.container.matroska_header import PARTS
from vscugan.encode.container.matroska_restore import _seek_head

#: Matroska's elements that only these fixtures write (RFC 9559)
LEVEL, LEVEL_NAME, OF_EDITION, OF_CHAPTER, TAG_TEXT, TAG_LANGUAGE = 0x68CA, 0x63CA, 0x63C9, 0x63C4, 0x4487, 0x447A
EDITION_UID, IS_DEFAULT, CHAPTER_UID, CHAPTER_TRACKS, CHAPTER_TRACK_UID = 0x45BC, 0x45DB, 0x73C4, 0x8F, 0x89
TITLE, CHAPTER_LANGUAGE, BEGIN, END = 0x85, 0x437C, 0x91, 0x92


def _segment(path: Path) -> tuple[ebml.Element, list[ebml.Element]]:
    """The head of a Matroska file, and what its segment holds."""
    head, segment = (e for e in ebml.elements(path.read_bytes()) if e.id in (ids.EBML, ids.SEGMENT))
    return head, list(ebml.elements(segment.payload))


def rebuilt(source: Path, path: Path, order: Sequence[int], hole: int = 0, **parts: bytes) -> Path:
    """A Matroska file of these parts of another, in this order, found by its seek head; 0 is a hole in it.

    ``parts``: what to write in place of the source's, or where it has none, by the IDs' names in ``matroska_ids``.
    """
    head, held = _segment(source)
    own = {getattr(ids, name): [ebml.encode(getattr(ids, name), part)] for name, part in parts.items()}
    pieces = {id: b"".join(own.get(id) or [e.encoded() for e in held if e.id == id]) for id in order} | {0: bytes(hole)}
    positions = {id: 0 for id in order if id in PARTS}
    at = len(_seek_head(positions))
    for id in order:
        if id in positions:
            positions[id] = at
        at += len(pieces[id])
    body = _seek_head(positions) + b"".join(pieces[id] for id in order)
    path.write_bytes(head.encoded() + ebml.encode(ids.SEGMENT, body))
    return path


def _element(id: int, *content: bytes | str | int) -> bytes:
    """An element of others, of a text or of a number."""
    payload = b""
    for part in content:
        if isinstance(part, int):
            part = part.to_bytes(max(1, part.bit_length() + 7 >> 3))
        payload += part.encode() if isinstance(part, str) else part
    return ebml.encode(id, payload)


def _chapter(uid: int, start_ms: int, end_ms: int, names: dict[str, str], *more: bytes) -> bytes:
    shown = (
        _element(ids.NAME, _element(TITLE, name), _element(CHAPTER_LANGUAGE, language))
        for language, name in names.items()
    )
    times = _element(BEGIN, start_ms * 1_000_000), _element(END, end_ms * 1_000_000)
    return _element(ids.CHAPTER, _element(CHAPTER_UID, uid), *times, *shown, *more)


def _tag(targets: bytes, name: str, value: str, *more: bytes, language: str = "und") -> bytes:
    fields = _element(ids.TAG_NAME, name), _element(TAG_LANGUAGE, language), _element(TAG_TEXT, value), *more
    return _element(ids.TAG, _element(ids.TARGETS, targets), _element(ids.SIMPLE_TAG, *fields))


def matroska_with_all(folder: Path) -> Path:
    """What mkvmerge writes and ffmpeg doesn't."""
    base, srt, font = folder / "base.mkv", folder / "a.srt", folder / "One.ttf"
    srt.write_text("1\n00:00:00,100 --> 00:00:00,600\nOlá\n")
    font.write_bytes(bytes(range(200)) * 7)
    ffmpeg(*picture(), *sound(440), "-i", srt, "-map", 0, "-map", 1, "-map", 2, *FAST, "-c:a", "flac", "-c:s", "copy",
           "-metadata:s:a:0", "language=jpn", "-metadata:s:s:0", "language=por", "-attach", font,
           "-metadata:s:t", "mimetype=font/ttf", base)  # fmt: skip
    languages, uids, font_uid = ("und", "ja", "pt-BR"), (3, 5 << 40, 7), 11

    def named(entry: ebml.Element, id: int, uid: int, *more: bytes) -> bytes:
        others = (e.encoded() for e in ebml.elements(entry.payload) if e.id not in (id, ebml.CRC32))
        return _element(entry.id, *others, _element(id, uid), *more)

    payloads = {element.id: element.payload for element in _segment(base)[1]}
    tracks = [
        named(entry, ids.TRACK_UID, uid, _element(ids.BCP47, language))
        for entry, uid, language in zip(
            ebml.of_id(payloads[ids.TRACKS], ids.TRACK), uids, languages, strict=True
        )
    ]
    (entry,) = ebml.of_id(payloads[ids.ATTACHMENTS], ids.FILE)
    inner = _chapter(102, 100, 200, {"eng": "Inside"})
    of_audio = _element(CHAPTER_TRACKS, _element(CHAPTER_TRACK_UID, uids[1]))
    first = _element(
        ids.EDITION, _element(EDITION_UID, 1), _element(IS_DEFAULT, 1), _element(ids.IS_ORDERED, 1),
        _chapter(101, 0, 500, {"eng": "Part", "ger": "Teil"}, inner, of_audio),
        _chapter(103, 500, 900, {"eng": "Hidden"}, _element(ids.IS_HIDDEN, 1)),
    )  # fmt: skip
    second = _element(ids.EDITION, _element(EDITION_UID, 2), _chapter(104, 0, 900, {"jpn": "別"}))
    url = _element(ids.SIMPLE_TAG, _element(ids.TAG_NAME, "URL"), _element(TAG_TEXT, "https://example.com"))
    collection = _element(LEVEL, 70) + _element(LEVEL_NAME, "COLLECTION")
    tags = (
        _tag(collection, "TITLE", "Series", url, language="eng"),
        _tag(_element(LEVEL, 60), "PART_NUMBER", "2"),
        _tag(_element(OF_EDITION, 2), "TITLE", "Another cut"),
        _tag(_element(OF_CHAPTER, 103), "COMMENT", "of a chapter"),
        _tag(_element(ids.OF_TRACK, uids[0]), "BPS", "123"),
        _tag(_element(ids.OF_TRACK, uids[0]), "KEYWORDS", "of the video"),
        _tag(_element(ids.OF_TRACK, uids[1]), "BPS", "456"),
        _tag(_element(ids.OF_FILE, font_uid), "AUTHOR", "of the font"),
    )
    parts = (ids.INFO, ids.TRACKS, ids.ATTACHMENTS, ids.CHAPTERS, ids.TAGS, ids.CLUSTER)
    return rebuilt(
        base, folder / "matroska_with_all.mkv", parts, TRACKS=b"".join(tracks),
        ATTACHMENTS=named(entry, ids.FILE_UID, font_uid), CHAPTERS=first + second,
        TAGS=b"".join(tags),
    )  # fmt: skip
