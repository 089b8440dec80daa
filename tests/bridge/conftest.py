"""Graphs that are changed on their way to the bridge, and what shows whether something is left of them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import vapoursynth as vs
from support.enlargement import PlainEnlargement

import vscugan.clip.filter as filter_module


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], object]], list[weakref.ref[Any]]]:
    """changed(change): graphs go through ``change`` before the bridge sees them; returns weak references to them."""
    monkeypatch.setattr(filter_module, "Engine", PlainEnlargement)
    create = filter_module.create

    def install(change: Callable[[Any], object]) -> list[weakref.ref[Any]]:
        seen: list[weakref.ref[Any]] = []

        def make(*arguments: Any) -> Any:
            graph = create(*arguments)
            parts = [graph, *graph.stages, *([graph.alpha, *graph.alpha.stages] if graph.alpha else [])]
            seen.extend(weakref.ref(part) for part in parts)
            change(graph)
            return graph

        monkeypatch.setattr(filter_module, "create", make)
        return seen

    return install


@pytest.fixture
def watched(core: Any) -> Callable[[vs.VideoNode], tuple[vs.VideoNode, weakref.ref[Any]]]:
    """watched(clip): a node over ``clip``, and what is dead as soon as it is freed."""

    def watch(clip: vs.VideoNode) -> tuple[vs.VideoNode, weakref.ref[Any]]:
        class Same:
            def __call__(self, n: int) -> vs.VideoNode:
                return clip

        same = Same()
        return core.std.FrameEval(clip, same), weakref.ref(same)

    return watch
