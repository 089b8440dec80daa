"""A frame through the network's stages, whole or in tiles, with means over the whole frame."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import product

from vscugan.architectures.parts import Gate, Stage
from vscugan.architectures.shapes import FeatureMap
from vscugan.architectures.stages import run_stages
from vscugan.runtime.arrays import Array
from vscugan.runtime.protocol import Gates, PassOptions, Runtime
from vscugan.runtime.workspace import Workspace
from vscugan.tiling.feature_maps import FeatureMaps, RecomputedMaps, StoredMaps
from vscugan.tiling.gate_means import GateMeans
from vscugan.tiling.geometry import Rectangle, Span, compute_spans, owned, split, window
from vscugan.tiling.tile_plan import FeatureStorage, TilePlan


def run_tiles(
    runtime: Runtime, padded: Array, plan: TilePlan, area: Rectangle, workspace: Workspace, options: PassOptions
) -> tuple[Array, Gates] | None:
    """Run the network on a frame, or on a window of one whose gates are given; None where the result is not finite.

    ``padded``: (1, 3, H + 2 pad, W + 2 pad) in the network's range, H and W multiples of the architecture's.
    ``area``: the part of H x W that is asked for. ``workspace`` has the memory of the frames before. Gates that are
    given are the host's, fp32.
    Returns (3, scale*h, scale*w) fp32 in the network's range, in memory of the workspace, and the gates, which may be
    missing where they were not asked for.
    """
    architecture = runtime.architecture
    edge = 2 * architecture.pad_px
    size = (int(padded.shape[2]) - edge, int(padded.shape[3]) - edge)
    arrays = runtime.arrays
    if options.gates is not None:
        options = replace(options, gates=tuple(arrays.as_map(arrays.upload(gate)) for gate in options.gates))
    output_area = area.enlarged(architecture.scale)
    if plan.whole(*size):
        whole = runtime.run_network(padded, workspace, options)
        if whole is not None:
            y, gates = whole
            return (y[0, :, *output_area.index], gates) if arrays.is_finite(y) else None
    names = [gate.name for gate in architecture.gates]
    given = {} if options.gates is None else dict(zip(names, options.gates, strict=True))
    means = GateMeans(runtime, size, options.alpha, given)
    tiles = _Tiles(runtime, padded, size, plan, output_area, workspace, means)
    run_stages(tiles.stages, tiles)
    return (tiles.output, tuple(means.gates[name] for name in names)) if means.finite else None


class _Tiles:
    """The steps of a frame in tiles; see ``Steps``. ``output_area``: the part of the result that is asked for."""

    def __init__(
        self,
        runtime: Runtime,
        padded: Array,
        size: tuple[int, int],
        plan: TilePlan,
        output_area: Rectangle,
        workspace: Workspace,
        means: GateMeans,
    ) -> None:
        self._means = means
        self._architecture, self._size, self._workspace = runtime.architecture, size, workspace
        self._output_area = output_area
        self._runtime, self._padded = runtime, padded
        self._recomputes = plan.storage is FeatureStorage.RECOMPUTE or not runtime.keeps_maps
        self.stages = self._architecture.stages_for(lean=plan.is_lean)
        self._maps: FeatureMaps
        if self._recomputes:
            self._maps = RecomputedMaps(runtime, self.stages, padded, workspace)
        else:
            on_host = plan.storage is FeatureStorage.HOST
            self._maps = StoredMaps(runtime, self.stages, padded, size, workspace, on_host=on_host)
        self._axes = [split(s, t, self._architecture.multiple) for s, t in zip(size, plan.tile, strict=True)]
        shape = (1, 3, output_area.rows.size, output_area.columns.size)
        self.output = runtime.arrays.new_picture(shape, workspace)[0]

    def run(self, k: int, stage: Stage) -> None:
        """See ``Steps``."""
        wants_mean = self._means.wants(stage.gate)
        if self._recomputes and k < len(self.stages) - 1 and not wants_mean:
            return  # a later stage runs this one
        for tile, at in zip(product(*self._axes), product(*self._spans(stage)), strict=True):
            if not self._runtime.keeps_maps:
                self._run_from_input(k, stage.gate if wants_mean else None, at, tile)
                continue
            for name, whole in self._maps.compute(k, at, self._means.gates).items():
                self._take(name, whole, at, tile, stage.gate if wants_mean else None)
            del whole  # the next tile is computed without it

    def _run_from_input(self, k: int, gate: Gate | None, at: tuple[Span, ...], tile: tuple[Span, ...]) -> None:
        """All stages up to ``k`` on a tile, for the mean of ``gate`` or, where there is none, for the result."""
        of_input = self._architecture.shapes.maps["input"]
        rows, columns = (window(of_input, s, 0) for s in at)
        padded = self._padded[:, :, rows.start : rows.stop, columns.start : columns.stop]
        if gate is not None:
            _, own = _own_part(self._architecture.shapes.maps[gate.map], at, tile, self._size)
            self._means.add_sum(self._runtime.map_sum(k, padded, own.index, self._means.gates, self._workspace))
            return
        gates = tuple(self._means.gates[each.name] for each in self._architecture.gates)
        result = self._runtime.run_network(padded, self._workspace, PassOptions(gates=gates))
        assert result is not None  # what keeps no maps runs whole networks
        self._paste(result[0], at, tile)

    def _take(self, name: str, whole: Array, at: tuple[Span, ...], tile: tuple[Span, ...], gate: Gate | None) -> None:
        """Keep a tile's part of a map that was computed on ``at``; ``gate``: whose mean is to be taken."""
        if name == "output":
            self._paste(whole, at, tile)
            return
        in_map, own = _own_part(self._architecture.shapes.maps[name], at, tile, self._size)
        part = whole[:, :, *own.index]
        if gate is not None and name == gate.map:
            self._means.add(part)
        self._maps.keep(name, whole, part, in_map)

    def _spans(self, stage: Stage) -> list[list[Span]]:
        """Of each axis, what each tile's stage runs on."""
        # what is computed again keeps one shape through all stages
        stages = self.stages if self._recomputes else (stage,)
        return [
            compute_spans(self._architecture, stages, tiles, size, from_picture=self._recomputes)
            for tiles, size in zip(self._axes, self._size, strict=True)
        ]

    def _paste(self, y: Array, at: tuple[Span, ...], tile: tuple[Span, ...]) -> None:
        """Copy the tile's own part of the stage's output into the frame's."""
        self._means.finite = self._means.finite & self._runtime.arrays.is_finite(y)
        scale = self._architecture.scale
        area = (self._output_area.rows, self._output_area.columns)
        own = [t.enlarged(scale).overlap(s) for t, s in zip(tile, area, strict=True)]
        if all(span.size > 0 for span in own):
            into = Rectangle(rows=own[0].moved(-area[0].start), columns=own[1].moved(-area[1].start))
            of = Rectangle(rows=own[0].moved(-at[0].start * scale), columns=own[1].moved(-at[1].start * scale))
            self.output[:, *into.index] = y[0, :, *of.index]
        self._runtime.arrays.give(y, self._workspace)

    def close_gate(self, gate: Gate) -> None:
        """See ``Steps``."""
        if self._means.wants(gate):
            self._means.close(gate)

    def free(self, needed: Collection[str]) -> None:
        """See ``Steps``."""
        self._maps.free(needed)


def _own_part(
    feature: FeatureMap, at: tuple[Span, ...], tile: tuple[Span, ...], size: tuple[int, int]
) -> tuple[Rectangle, Rectangle]:
    """What a tile owns of a map: where it lies in the map, and in what was computed on the px ``at`` of the picture."""
    rows, columns = (owned(feature, t, s) for t, s in zip(tile, size, strict=True))
    top, left = (int(a.start * feature.rate) for a in at)
    return Rectangle(rows=rows, columns=columns), Rectangle(rows=rows.moved(-top), columns=columns.moved(-left))
