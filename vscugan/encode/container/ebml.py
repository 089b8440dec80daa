"""EBML, the notation that Matroska files are written in (RFC 8794)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

CRC32 = 0xBF
VOID = 0xEC
#: with an ID of one byte and a size of eight
SHORTEST_VOID = 9
#: an element's ID and size are at most so long
HEAD_BYTES = 12


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its ID, with the marker bits, and what it holds."""

    id: int
    payload: bytes

    def encoded(self) -> bytes:
        """As it stands in a file, its size as short as it can be."""
        return encode(self.id, self.payload)

    @property
    def number(self) -> int:
        """What it holds, as an unsigned integer."""
        return int.from_bytes(self.payload)

    @property
    def text(self) -> str:
        """What it holds, as text."""
        return self.payload.rstrip(b"\0").decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an element stands in a file; ``size`` is None where the file leaves it open."""

    id: int
    start: int
    payload: int
    size: int | None


def encode(id: int, payload: bytes) -> bytes:
    """An element as it stands in a file."""
    width = next(width for width in range(1, 9) if len(payload) < (1 << 7 * width) - 1)
    return _id(id) + (len(payload) | 1 << 7 * width).to_bytes(width) + payload


def encode_void(length: int) -> bytes:
    """An element of ``length`` bytes, at least ``SHORTEST_VOID``, that readers pass over."""
    return _id(VOID) + (length - SHORTEST_VOID | 1 << 56).to_bytes(8) + bytes(length - SHORTEST_VOID)


def _id(id: int) -> bytes:
    return id.to_bytes((id.bit_length() + 7) // 8)


def _head(data: bytes, start: int) -> tuple[int, int | None, int]:
    """ID, size and length of an element's head.

    Raises: ValueError.
    """
    fields = []
    place = start
    for longest in (4, 8):
        width = 9 - data[place].bit_length() if place < len(data) else 9
        if width > longest or place + width > len(data):
            raise ValueError("a place that holds no EBML element")
        fields.append((int.from_bytes(data[place : place + width]), width))
        place += width
    (id, _), (marked, width) = fields
    size = marked ^ 1 << 7 * width
    return id, None if size == (1 << 7 * width) - 1 else size, place - start


def elements(data: bytes) -> Iterator[Element]:
    """The elements that a master element holds.

    Raises: ValueError.
    """
    place = 0
    while place < len(data):
        id, size, length = _head(data, place)
        place += length
        if size is None or place + size > len(data):
            raise ValueError("an EBML element without an end")
        yield Element(id, data[place : place + size])
        place += size


def of_id(data: bytes, id: int) -> list[Element]:
    """Those of the elements that a master element holds with this ID.

    Raises: ValueError.
    """
    return [element for element in elements(data) if element.id == id]


def without(data: bytes, *ids: int) -> bytes:
    """What a master element holds, but for the elements with these IDs.

    Raises: ValueError.
    """
    return b"".join(element.encoded() for element in elements(data) if element.id not in ids)


def walk(file: BinaryIO, masters: tuple[int, ...]) -> Iterator[Place]:
    """The elements of a file in their order, its ``masters`` and those without a size entered.

    What the others hold is passed over without being read. Ends where the file breaks off.
    """
    end = file.seek(0, 2)
    at = 0
    while at < end and (place := place_at(file, at)):
        is_entered = place.size is None or place.id in masters
        if not is_entered and place.payload + (place.size or 0) > end:
            return
        yield place
        at = place.payload if is_entered else place.payload + (place.size or 0)


def place_at(file: BinaryIO, at: int) -> Place | None:
    """The element that begins there, None where there is none."""
    file.seek(at)
    try:
        id, size, length = _head(file.read(HEAD_BYTES), 0)
    except ValueError:
        return None
    return Place(id=id, start=at, payload=at + length, size=size)
