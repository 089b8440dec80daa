"""What the network is given of a picture: its border by the architecture's rule, its values in the network's range."""

from __future__ import annotations

from collections.abc import Iterable

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import FULL_RANGE, Border
from vscugan.architectures.shapes import round_up
from vscugan.runtime.arrays import Array, Arrays
from vscugan.tiling.geometry import Rectangle, Span, filled_up


def pad(arrays: Arrays, x: Array, top_left: int, bottom: int, right: int) -> Array:
    """Reflect the borders of (1, C, H, W) as far as that is legal, then replicate the rest."""
    height, width = x.shape[2:]
    wanted = (top_left, right, top_left, bottom)
    limits = (width - 1, width - 1, height - 1, height - 1)
    reflected = _edges(min(w, limit) for w, limit in zip(wanted, limits, strict=True))
    x = arrays.pad(x, reflected, reflect=True)
    rest = _edges(w - r for w, r in zip(wanted, reflected, strict=True))
    return arrays.pad(x, rest, reflect=False) if any(rest) else x


def _edges(px: Iterable[int]) -> tuple[int, int, int, int]:
    left, right, top, bottom = px
    return left, right, top, bottom


def network_input(
    architecture: Architecture, arrays: Arrays, x: Array, area: Rectangle | None = None
) -> tuple[Array, Rectangle]:
    """A picture as the network takes it, or the part of it that the network must see to compute ``area``.

    ``x``: (1, 3, H, W) fp32, one of ``arrays``, clamped to 0..1 here; not written to. Returns
    (1, 3, h + 2 pad, w + 2 pad) in the network's range, h and w multiples of the architecture's, and where in h x w the
    picture or area lies.
    """
    height, width = (int(px) for px in x.shape[2:])
    area = area or Rectangle(rows=Span(start=0, stop=height), columns=Span(start=0, stop=width))
    windows = [_window(architecture, span, px) for span, px in ((area.rows, height), (area.columns, width))]
    y = _bordered(architecture, arrays, x, windows)
    values = architecture.input_range
    if values != FULL_RANGE:
        y *= values.gain
        y += values.offset
    inner = [span.moved(-of.start) for span, of in zip((area.rows, area.columns), windows, strict=True)]
    return y, Rectangle(rows=inner[0], columns=inner[1])


def _window(architecture: Architecture, area: Span, px: int) -> Span:
    """The whole multiples that hold an area of an axis; with SAME also what the network sees around it."""
    multiple, size, least = architecture.multiple, filled_up(architecture, px), architecture.minimum_px
    start, stop = area.start // multiple * multiple, round_up(area.stop, multiple)
    if architecture.border is Border.SAME:
        reach = round_up(max(architecture.halo_px, 1), multiple)  # a multiple at least: what fills the end is reflected
        start, stop = max(0, start - reach), min(size, stop + reach)
    start = min(start, size - least) if stop - start < least else start
    return Span(start=start, stop=max(stop, start + least))


def _bordered(architecture: Architecture, arrays: Arrays, x: Array, windows: list[Span]) -> Array:
    """The windows of a picture with their border, clamped, in memory of its own."""
    edge = architecture.pad_px
    filled = [filled_up(architecture, int(px)) - int(px) for px in x.shape[2:]]
    # two edges before it: at the picture's end, one of them is reflected
    seen = [Span(start=max(0, w.start - 2 * edge), stop=w.stop + edge) for w in windows]
    ends = [edge + fill if s.stop >= px else edge for s, fill, px in zip(seen, filled, x.shape[2:], strict=True)]
    x = x[:, :, seen[0].start : seen[0].stop, seen[1].start : seen[1].stop]
    if not any((edge, *ends)):
        return arrays.xp.clip(x, 0, 1)
    inner = [slice(w.start - s.start, w.stop - s.start + 2 * edge) for w, s in zip(windows, seen, strict=True)]
    y = pad(arrays, x, edge, ends[0], ends[1])[:, :, *inner]
    return arrays.xp.clip(y, 0, 1, out=y)


def picture_of(architecture: Architecture, y: Array) -> Array:
    """What the network has made, in the picture's range; ``y`` is changed."""
    values = architecture.input_range
    if values != FULL_RANGE:
        y -= values.offset
        y /= values.gain
    return y
