"""A frame's feature maps between the stages: kept whole, or computed again from the input for each stage."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vscugan.architectures.parts import Stage
from vscugan.architectures.stages import WholeMaps, run_stages
from vscugan.runtime.arrays import Array
from vscugan.runtime.protocol import Runtime
from vscugan.runtime.workspace import Workspace
from vscugan.tiling.geometry import Rectangle, Span, window


class FeatureMaps(Protocol):
    """The maps of one frame."""

    def compute(self, k: int, at: tuple[Span, ...], gates: Mapping[str, Array]) -> dict[str, Array]:
        """What stage ``k`` writes when it runs on the px ``at`` of the picture."""

    def keep(self, name: str, whole: Array, part: Array, own: Rectangle) -> None:
        """Store the ``part`` of a map that a tile owns; ``whole`` is all that the stage has computed there."""

    def free(self, needed: Collection[str]) -> None:
        """No map but these is read any more."""


class _Windows:
    """Windows of maps as the runtime takes them: on its device, and in one piece where it needs that."""

    def __init__(self, runtime: Runtime, workspace: Workspace) -> None:
        self._runtime, self._workspace = runtime, workspace
        self._copies: list[Array] = []

    def ready(self, view: Array) -> Array:
        """``view``, or a copy of it that lives until ``release``."""
        view = self._runtime.arrays.on_device(view)
        if not self._runtime.dense_windows or self._runtime.arrays.is_dense(view):
            return view
        dense = self._dense(view.shape)
        dense[...] = view
        return dense

    def joined(self, pieces: Sequence[Array], places: Sequence[tuple[Span, Span]], size: tuple[int, int]) -> Array:
        """A window of ``size`` from pieces and their places in it; it lives until ``release``."""
        dense = self._dense((1, pieces[0].shape[1], *size))
        for piece, (rows, columns) in zip(pieces, places, strict=True):
            dense[:, :, rows.start : rows.stop, columns.start : columns.stop] = piece
        return dense

    def _dense(self, shape: Sequence[int]) -> Array:
        dense = self._runtime.arrays.new_map(shape, self._workspace)
        self._copies.append(dense)
        return dense

    def release(self) -> None:
        """The stage has run: what was copied is free again."""
        for copy in self._copies:
            self._runtime.arrays.give(copy, self._workspace)
        self._copies.clear()


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Rows and columns of a map whose values are there."""

    values: Array
    rows: Span
    columns: Span
    memory: Array  #: what to give back for it


class StoredMaps:
    """Feature maps that are kept between the stages, each freed after its last reader.

    A runtime that takes views gets them from whole maps. For one that needs its windows in one piece the tiles' results
    stay as they are, and windows are joined from them: one copy instead of two. ``size``: the picture's height, width;
    ``on_host``: whether the maps are kept in the host's memory, wherever they are computed.
    """

    def __init__(
        self,
        runtime: Runtime,
        stages: Sequence[Stage],
        padded: Array,
        size: tuple[int, int],
        workspace: Workspace,
        *,
        on_host: bool,
    ) -> None:
        self._runtime, self._stages, self._workspace = runtime, stages, workspace
        self._arrays, self._moves = runtime.arrays, on_host and not runtime.arrays.on_host
        self._features, self._size = runtime.architecture.shapes.maps, size
        self._windows = _Windows(runtime, workspace)
        rows, columns = (Span(start=0, stop=self._features["input"].size(s)) for s in size)
        self._parts = {"input": [_Part(values=padded, rows=rows, columns=columns, memory=padded)]}

    def compute(self, k: int, at: tuple[Span, ...], gates: Mapping[str, Array]) -> dict[str, Array]:
        """See ``FeatureMaps``."""
        read = {}
        for name, crop_px in self._stages[k].reads.items():
            rows, columns = (window(self._features[name], s, crop_px) for s in at)
            read[name] = self._window(name, rows, columns)
        written = self._runtime.run_stage(k, self._stages[k], read, gates, self._workspace)
        self._windows.release()
        return written

    def _window(self, name: str, rows: Span, columns: Span) -> Array:
        """These rows and columns of a map, as the runtime takes them."""
        pieces, places = [], []
        for part in self._parts[name]:
            y, x = part.rows.overlap(rows), part.columns.overlap(columns)
            if y.size > 0 and x.size > 0:
                at = [span.moved(-of.start) for span, of in ((y, part.rows), (x, part.columns))]
                pieces.append(part.values[:, :, at[0].start : at[0].stop, at[1].start : at[1].stop])
                places.append((y.moved(-rows.start), x.moved(-columns.start)))
        if len(pieces) == 1:
            return self._windows.ready(pieces[0])
        return self._windows.joined(pieces, places, (rows.size, columns.size))

    def keep(self, name: str, whole: Array, part: Array, own: Rectangle) -> None:
        """See ``FeatureMaps``."""
        feature, parts = self._features[name], self._parts.setdefault(name, [])
        full = tuple(feature.size(s) for s in self._size)
        as_is = self._runtime.dense_windows or tuple(part.shape[2:]) == full
        if as_is and not self._moves:
            parts.append(_Part(values=part, rows=own.rows, columns=own.columns, memory=whole))
            return
        if not parts:
            shape = (1, feature.channels, *full)
            values = self._arrays.new_map(shape, self._workspace, on_host=self._moves)
            rows, columns = (Span(start=0, stop=s) for s in full)
            parts.append(_Part(values=values, rows=rows, columns=columns, memory=values))
        parts[0].values[:, :, *own.index] = part
        self._arrays.give(whole, self._workspace)

    def free(self, needed: Collection[str]) -> None:
        """See ``FeatureMaps``."""
        for name in self._parts.keys() - needed:
            for part in self._parts.pop(name):
                self._arrays.give(part.memory, self._workspace)


class RecomputedMaps:
    """No map is kept: a stage on a tile runs all stages before it on that tile, from the input."""

    def __init__(self, runtime: Runtime, stages: Sequence[Stage], padded: Array, workspace: Workspace) -> None:
        self._runtime, self._stages, self._padded, self._workspace = runtime, stages, padded, workspace
        self._input = runtime.architecture.shapes.maps["input"]

    def compute(self, k: int, at: tuple[Span, ...], gates: Mapping[str, Array]) -> dict[str, Array]:
        """See ``FeatureMaps``."""
        rows, columns = (window(self._input, s, 0) for s in at)
        view = self._padded[:, :, rows.start : rows.stop, columns.start : columns.stop]
        return run_chain(self._runtime, view, k, self._stages[k].writes, gates, self._workspace)

    def keep(self, name: str, whole: Array, part: Array, own: Rectangle) -> None:
        """Nothing is kept."""
        self._runtime.arrays.give(whole, self._workspace)

    def free(self, needed: Collection[str]) -> None:
        """Nothing is freed."""


def run_chain(
    runtime: Runtime,
    padded: Array,
    last: int,
    wanted: Collection[str],
    gates: Mapping[str, Array],
    workspace: Workspace,
) -> dict[str, Array]:
    """The ``wanted`` ones of the maps that stage ``last`` writes when the stages up to it run on a window of the input.

    ``padded``: the window, as the border rule wants it, in the network's range; ``gates``: those that the stages take.
    The result is the caller's until it gives it back to the workspace.
    """
    windows = _Windows(runtime, workspace)

    def run(k: int, stage: Stage, read: dict[str, Array], all_gates: dict[str, Array]) -> dict[str, Array]:
        written = runtime.run_stage(k, stage, {n: windows.ready(x) for n, x in read.items()}, all_gates, workspace)
        windows.release()
        return written

    def give_back(x: Array) -> None:
        runtime.arrays.give(x, workspace)

    whole = WholeMaps({"input": padded}, dict(gates), run, give_back=give_back, wanted=wanted)
    run_stages(runtime.architecture.stages[: last + 1], whole)
    return {name: whole.maps[name] for name in wanted}
