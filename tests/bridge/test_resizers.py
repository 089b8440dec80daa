"""Resizers that many threads make at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import vapoursynth as vs
from support.enlargement import PlainEnlargement

import vscugan.clip.filter as filter_module


def test_many_threads_make_resizers_while_the_log_is_python(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame needs another resizer, and what VapourSynth logs meanwhile waits for the GIL."""
    monkeypatch.setattr(filter_module, "Engine", PlainEnlargement)
    blank = core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=48)
    clip = blank.std.FrameEval(
        lambda n: blank.std.SetFrameProps(_Matrix=(1, 4, 5, 6, 7, 8, 9)[n % 7], _ChromaLocation=n % 6, _Range=n % 2)
    )
    lines: list[str] = []
    handler = core.add_log_handler(lambda _, text: lines.append(text))
    try:
        for _ in range(2):
            up = core.cugan.Upscale(clip)
            with ThreadPoolExecutor(8) as pool:
                sizes = {frame.width for frame in pool.map(up.get_frame, range(48))}
            assert sizes == {32}
    finally:
        core.remove_log_handler(handler)
    assert lines
