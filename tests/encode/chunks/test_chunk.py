"""Where a clip is cut."""

from __future__ import annotations

from fractions import Fraction

from vscugan.encode.chunks.chunk import chunk_frames, cut


def test_cuts_lie_on_a_grid() -> None:
    assert chunk_frames(10, Fraction(24), 24) == 240
    assert chunk_frames(0.1, Fraction(24000, 1001), 24) == 24
    chunks = cut(500, 240)
    assert [(c.start, c.stop) for c in chunks] == [(0, 240), (240, 480), (480, 500)]
