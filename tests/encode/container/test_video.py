"""The chunks as one stream."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vscugan.encode.container.timeline import Timeline
from vscugan.encode.container.video import CodedChunk, decode_tick, delay


def test_packets_are_decoded_before_they_are_shown() -> None:
    timeline = Timeline(base=Fraction(1, 1000), ticks=(0, 42, 83, 125, 300, 310), last_ticks=40)
    chunks = [
        CodedChunk(path=Path("a"), start=0, order=(0, 2, 1)),
        CodedChunk(path=Path("b"), start=3, order=(0, 2, 1)),
    ]
    late = delay(chunks)
    assert late == 1
    stamps = [decode_tick(n, late, timeline) for n in range(6)]
    assert stamps == [-42, 0, 42, 83, 125, 300]
    shown = [chunk.start + chunk.order.index(k) for chunk in chunks for k in range(3)]
    assert all(timeline.ticks[n] >= stamp for n, stamp in zip(shown, stamps, strict=True))
