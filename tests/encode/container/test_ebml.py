"""EBML's elements."""

from __future__ import annotations

from vscugan.encode.container import ebml
from vscugan.encode.container import matroska_ids as ids


def test_elements_are_read_as_they_were_written() -> None:
    for length in (0, 126, 127, 128, 16382, 16383):
        element = ebml.Element(ids.TAG, bytes(length))
        assert list(ebml.elements(element.encoded() * 2 + ebml.encode_void(9))) == [
            element, element, ebml.Element(ebml.VOID, b"")
        ]  # fmt: skip
