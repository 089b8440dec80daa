"""``vscugan.upscale``: the typed Python twin of ``core.cugan.Upscale``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import vapoursynth as vs

from vscugan.clip.error_text import PREFIX


def upscale(
    clip: vs.VideoNode,
    *,
    scale: float | None = None,
    noise: str | int | None = None,
    model: str | None = None,
    weights: str | None = None,
    alpha: float | None = None,
    tile: int | Sequence[int] | None = None,
    device: str | Sequence[str] | None = None,
    precision: str | None = None,
    streams: int | None = None,
    format: int | None = None,
    width: int | None = None,
    height: int | None = None,
    kernel: str | None = None,
    linear: bool | None = None,
    overshoot: str | None = None,
    alpha_clip: vs.VideoNode | None = None,
    backend: str | None = None,
    report: bool | None = None,
    memory: int | None = None,
    reuse: str | None = None,
    segment: int | None = None,
    threshold: float | None = None,
    gates: str | None = None,
    halo: int | None = None,
    strength: float | None = None,
) -> vs.VideoNode:
    """Upscale a clip with Real-CUGAN or one of its relatives: ``core.cugan.Upscale`` with types, by keywords.

    The arguments are those of the plugin, and None is one that is left out.

    Args:
        clip: Any clip of constant format and size: YUV, RGB or gray, in 8 to 16 bit, half or single float.

    Returns:
        The clip, ``scale`` times as wide and high, or ``width`` x ``height`` px, in its own format or in ``format``.
            Alpha, in ``alpha_clip`` or attached to the frames, comes back attached (``_Alpha``).

    Raises:
        vs.Error: As ``cugan.Upscale: <argument> must be <allowed>, got <value>; <next step>``.
    """
    arguments = dict(locals())  # before there are other names: these are the plugin's
    if not isinstance(clip, vs.VideoNode):
        raise vs.Error(f"{PREFIX}clip must be a video node, got {type(clip).__name__}; hand over the video's node")
    if not hasattr(vs.core, "cugan"):
        raise vs.Error(f"{PREFIX}the plugin must be loaded, got no core.cugan; run python -m vscugan doctor")
    node = vs.core.cugan.Upscale(**{name: value for name, value in arguments.items() if value is not None})
    assert isinstance(node, vs.VideoNode)
    return node


def describe(clip: vs.VideoNode) -> dict[str, str]:
    """What computes a clip that ``Upscale(..., report=1)`` made, as its first frame reports it.

    Returns:
        ``runtime``, ``device``, ``precision``, ``tile`` and ``weights`` (sha256), the last two for each pass of the
            network; of files with all noise levels also ``noise``, as a level's name or ``strength=1.5``; where tiles
            are not exact, also ``halo``, in px.

    Raises:
        vs.Error: Where the frame reports nothing.
    """
    with clip.get_frame(0) as frame:
        report = read_report(frame.props)
    if not report:
        raise vs.Error(f"{PREFIX}clip must tell what made it, got a frame without Cugan props; make it with report=1")
    return report


def read_report(props: Mapping[str, Any]) -> dict[str, str]:
    """What ``describe`` returns, of the props of any frame; empty where they report nothing."""
    return {
        name.removeprefix("Cugan").lower(): str(value)
        for name, value in props.items()
        if name.startswith("Cugan") and isinstance(value, str)
    }
