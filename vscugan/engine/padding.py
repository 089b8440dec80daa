"""What the network is given of a picture: its border by the architecture's rule, its values in the network's range."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import FULL_RANGE, Border
from vscugan.architectures.shapes import round_up
from vscugan.tiling.geometry import Rectangle, Span, filled_up


def pad(x: Tensor, top_left: int, bottom: int, right: int) -> Tensor:
    """Reflect the borders of (1, C, H, W) as far as that is legal, then replicate the rest."""
    height, width = x.shape[2:]
    wanted = (top_left, right, top_left, bottom)
    limits = (width - 1, width - 1, height - 1, height - 1)
    reflected = [min(w, limit) for w, limit in zip(wanted, limits, strict=True)]
    x = F.pad(x, reflected, mode="reflect")
    rest = [w - r for w, r in zip(wanted, reflected, strict=True)]
    return F.pad(x, rest, mode="replicate") if any(rest) else x


def network_input(architecture: Architecture, x: Tensor, area: Rectangle | None = None) -> tuple[Tensor, Rectangle]:
    """A picture as the network takes it, or the part of it that the network must see to compute ``area``.

    ``x``: (1, 3, H, W) fp32, clamped to 0..1 here; not written to. Returns (1, 3, h + 2 pad, w + 2 pad) in the
    network's range, h and w multiples of the architecture's, and where in h x w the picture or area lies.
    """
    height, width = (int(px) for px in x.shape[2:])
    area = area or Rectangle(rows=Span(start=0, stop=height), columns=Span(start=0, stop=width))
    windows = [_window(architecture, span, px) for span, px in ((area.rows, height), (area.columns, width))]
    y = _bordered(architecture, x, windows)
    values = architecture.input_range
    if values != FULL_RANGE:
        y = y.mul_(values.gain).add_(values.offset)
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


def _bordered(architecture: Architecture, x: Tensor, windows: list[Span]) -> Tensor:
    """The windows of a picture with their border, clamped, in memory of its own."""
    edge = architecture.pad_px
    filled = [filled_up(architecture, int(px)) - int(px) for px in x.shape[2:]]
    # two edges before it: at the picture's end, one of them is reflected
    seen = [Span(start=max(0, w.start - 2 * edge), stop=w.stop + edge) for w in windows]
    ends = [edge + fill if s.stop >= px else edge for s, fill, px in zip(seen, filled, x.shape[2:], strict=True)]
    x = x[:, :, seen[0].start : seen[0].stop, seen[1].start : seen[1].stop]
    if not any((edge, *ends)):
        return x.clamp(0, 1)
    inner = [slice(w.start - s.start, w.stop - s.start + 2 * edge) for w, s in zip(windows, seen, strict=True)]
    return pad(x, edge, ends[0], ends[1])[:, :, *inner].clamp_(0, 1)


def picture_of(architecture: Architecture, y: Tensor) -> Tensor:
    """What the network has made, in the picture's range; ``y`` is changed."""
    values = architecture.input_range
    return y.sub_(values.offset).div_(values.gain) if values != FULL_RANGE else y
