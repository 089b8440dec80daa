"""A frame through the five stages, whole or in tiles, with the SE means over the whole frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from vscugan.network import SE_BLOCKS, SE_MAPS, Architecture, FeatureMap, Stage, crop
from vscugan.runtime.protocol import Runtime
from vscugan.tiling.geometry import Span, cores, owned, split, window
from vscugan.tiling.plan import Plan, Waiting
from vscugan.workspace import Workspace

#: The four gates of a frame, (1, C, 1, 1) each.
Gates = Sequence[Tensor]


class _Windows:
    """Windows of maps as the runtime takes them: on its device, and in one piece where it needs that."""

    def __init__(self, runtime: Runtime, workspace: Workspace) -> None:
        self._runtime, self._workspace = runtime, workspace
        self._copies: list[Tensor] = []

    def ready(self, view: Tensor) -> Tensor:
        """``view``, or a copy of it that lives until ``release``."""
        runtime = self._runtime
        if view.device != runtime.device:
            return view.to(runtime.device)
        if not runtime.dense_windows or view.is_contiguous(memory_format=runtime.memory_format):
            return view
        return self._dense(view.shape, view.dtype).copy_(view)

    def joined(self, pieces: Sequence[Tensor], places: Sequence[tuple[Span, Span]], size: tuple[int, int]) -> Tensor:
        """A window of ``size`` from pieces and their places in it; it lives until ``release``."""
        dense = self._dense((1, pieces[0].shape[1], *size), pieces[0].dtype)
        for piece, (rows, columns) in zip(pieces, places, strict=True):
            dense[:, :, rows.start : rows.stop, columns.start : columns.stop] = piece
        return dense

    def _dense(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        dense = self._workspace.take(shape, dtype, self._runtime.memory_format, self._runtime.device)
        self._copies.append(dense)
        return dense

    def release(self) -> None:
        """The stage has run: what was copied is free again."""
        for copy in self._copies:
            self._workspace.give(copy)
        self._copies.clear()


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What is known of a map, and which rows and columns of it that is."""

    values: Tensor
    rows: Span
    columns: Span
    memory: Tensor  #: what to give back for it


class _WaitingMaps:
    """Feature maps of one frame, each freed after its last reader.

    A runtime that takes views gets them from whole maps. For one that needs its windows in one piece the tiles' results
    stay as they are, and windows are joined from them: one copy instead of two.
    """

    def __init__(
        self, runtime: Runtime, stages: Sequence[Stage], store: torch.device, padded: Tensor, workspace: Workspace
    ) -> None:
        self._runtime, self._stages, self._store, self._workspace = runtime, stages, store, workspace
        self._features, self._size = runtime.architecture.maps(), unpadded(runtime.architecture, padded)
        self._windows = _Windows(runtime, workspace)
        rows, columns = (Span(start=0, stop=self._features["input"].size(s)) for s in self._size)
        self._parts = {"input": [_Part(values=padded, rows=rows, columns=columns, memory=padded)]}

    def compute(self, k: int, at: tuple[Span, ...], gates: list[Tensor]) -> dict[str, Tensor]:
        """What stage ``k`` writes when it runs on the input pixels ``at``."""
        read = {}
        for name, crop_px in self._stages[k].reads.items():
            rows, columns = (window(self._features[name], s, crop_px) for s in at)
            read[name] = self._window(name, rows, columns)
        made = self._runtime.run_stage(k, self._stages[k], read, gates, self._workspace)
        self._windows.release()
        return made

    def _window(self, name: str, rows: Span, columns: Span) -> Tensor:
        """These rows and columns of a map, as the runtime takes them."""
        pieces, places = [], []
        for part in self._parts[name]:
            y, x = (_overlap(*spans) for spans in ((part.rows, rows), (part.columns, columns)))
            if y.size > 0 and x.size > 0:
                pieces.append(
                    part.values[
                        :,
                        :,
                        y.start - part.rows.start : y.stop - part.rows.start,
                        x.start - part.columns.start : x.stop - part.columns.start,
                    ]
                )
                places.append((_moved(y, -rows.start), _moved(x, -columns.start)))
        if len(pieces) == 1:
            return self._windows.ready(pieces[0])
        return self._windows.joined(pieces, places, (rows.size, columns.size))

    def keep(self, name: str, made: Tensor, part: Tensor, own: list[Span]) -> None:
        """Store the part of a map that a tile owns; ``made`` is all that the stage has made there."""
        feature, parts = self._features[name], self._parts.setdefault(name, [])
        full = tuple(feature.size(s) for s in self._size)
        as_is = self._runtime.dense_windows or part.shape[2:] == full
        if as_is and part.device == self._store:
            parts.append(_Part(values=part, rows=own[0], columns=own[1], memory=made))
            return
        if not parts:
            shape = (1, feature.channels, *full)
            whole = self._workspace.take(shape, part.dtype, self._runtime.memory_format, self._store)
            rows, columns = (Span(start=0, stop=s) for s in full)
            parts.append(_Part(values=whole, rows=rows, columns=columns, memory=whole))
        parts[0].values[:, :, own[0].start : own[0].stop, own[1].start : own[1].stop] = part
        self._workspace.give(made)

    def close(self, k: int) -> None:
        """Stage ``k`` has run on all tiles: free the maps that no later stage reads."""
        later = {name for stage in self._stages[k + 1 :] for name in stage.reads}
        for name in self._parts.keys() - later:
            for part in self._parts.pop(name):
                self._workspace.give(part.memory)


class _NoMaps:
    """Nothing waits: a stage on a tile runs all stages before it on that tile, from the input."""

    def __init__(self, runtime: Runtime, padded: Tensor, workspace: Workspace) -> None:
        self._runtime, self._padded, self._workspace = runtime, padded, workspace
        self._input = runtime.architecture.maps()["input"]

    def compute(self, k: int, at: tuple[Span, ...], gates: list[Tensor]) -> dict[str, Tensor]:
        """What stage ``k`` writes when it runs on the input pixels ``at``."""
        rows, columns = (window(self._input, s, 0) for s in at)
        view = self._padded[:, :, rows.start : rows.stop, columns.start : columns.stop]
        return run_chain(self._runtime, view, k, gates, self._workspace)

    def keep(self, name: str, made: Tensor, part: Tensor, own: list[Span]) -> None:
        """Nothing is kept."""
        self._workspace.give(made)

    def close(self, k: int) -> None:
        """Nothing is freed."""


def run_chain(
    runtime: Runtime, padded: Tensor, last: int, gates: list[Tensor], workspace: Workspace
) -> dict[str, Tensor]:
    """What stage ``last`` writes when the stages up to it run on a padded window of the input.

    ``padded``: (1, 3, h + 2 pad, w + 2 pad) in the network's range, h and w multiples of the architecture's;
    ``gates``: those that the stages need. The result is the caller's until it gives it back to the workspace.
    """
    stages = runtime.architecture.stages(keep_skips=True)[: last + 1]
    windows = _Windows(runtime, workspace)
    maps = {"input": padded}
    for k, stage in enumerate(stages):
        read = {name: windows.ready(crop(maps[name], px)) for name, px in stage.reads.items()}
        maps |= runtime.run_stage(k, stage, read, gates, workspace)
        windows.release()
        later = {name for after in stages[k + 1 :] for name in after.reads} | set(stages[-1].writes)
        for name in maps.keys() - later:
            workspace.give(maps.pop(name))
    return {name: maps[name] for name in stages[-1].writes}


class _FrameGates:
    """The gates of a frame, each from the parts of its map that the tiles own; and whether all was finite.

    ``known``: gates that are given; then nothing is added.
    """

    def __init__(self, runtime: Runtime, size: tuple[int, int], alpha: float, known: Gates | None) -> None:
        self._runtime, self._size, self._alpha = runtime, size, alpha
        self._total: Tensor | None = None
        self.are_known = known is not None
        self.gates: list[Tensor] = [] if known is None else [g.to(runtime.device, runtime.dtype) for g in known]
        self.finite = torch.ones((), dtype=torch.bool, device=runtime.device)

    def add(self, part: Tensor) -> None:
        """A tile's part of the map of the next gate."""
        # rows in fp32, columns in double where the device has it: as exact as the whole frame
        if self._runtime.memory_format == torch.channels_last:  # with channels last, 30 times as fast as sum(3)
            rows = part.permute(0, 2, 3, 1).sum(2, dtype=torch.float32)
            total = rows.sum(1, dtype=self._runtime.sum_dtype)
        else:
            total = part.sum(3, dtype=torch.float32).sum(2, dtype=self._runtime.sum_dtype)
        self._total = total if self._total is None else self._total + total

    def close(self) -> None:
        """The map is whole: make the gate."""
        assert self._total is not None
        k = len(self.gates)
        feature = self._runtime.architecture.maps()[SE_MAPS[k]]
        mean = self._total / (feature.size(self._size[0]) * feature.size(self._size[1]))
        self.finite &= torch.isfinite(mean).all()
        self.gates.append(self._runtime.gate(SE_BLOCKS[k], mean, self._alpha if k == len(SE_BLOCKS) - 1 else 1.0))
        self._total = None


def _overlap(a: Span, b: Span) -> Span:
    """What two spans have in common; its size is 0 or less where that is nothing."""
    return Span(start=max(a.start, b.start), stop=min(a.stop, b.stop))


def _moved(span: Span, by: int) -> Span:
    return Span(start=span.start + by, stop=span.stop + by)


def unpadded(architecture: Architecture, padded: Tensor) -> tuple[int, int]:
    """The (height, width) of what was padded."""
    height, width = (int(s) - 2 * architecture.pad_px for s in padded.shape[2:])
    return height, width


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What the network made of a padded frame."""

    output: Tensor  #: (3, scale*height, scale*width) fp32 in the network's range, in memory of the workspace
    finite: Tensor  #: boolean scalar: whether every SE mean and output was finite
    gates: Gates  #: may be empty where they were not asked for


def run(
    runtime: Runtime,
    padded: Tensor,
    plan: Plan,
    shown: tuple[int, int],
    alpha: float,
    workspace: Workspace,
    gates: Gates | None = None,
    *,
    with_gates: bool = False,
) -> Ran:
    """Run the network on a padded frame, or on a padded window of one whose ``gates`` are known.

    ``padded``: (1, 3, H + 2 pad, W + 2 pad) in the network's range, H and W multiples of the architecture's.
    ``shown``: the (height, width) of the frame without what rounding up added. ``alpha`` is in the gates where they
    are known. ``workspace`` has the memory of the frames before. ``with_gates``: whether the gates are asked for.
    """
    architecture = runtime.architecture
    size = unpadded(architecture, padded)
    height, width = (s * architecture.scale for s in shown)
    frame = _FrameGates(runtime, size, alpha, gates)
    if plan.whole(*size):
        ran = _at_once(runtime, padded, alpha, frame, workspace, with_gates)
        if ran is not None:
            return Ran(output=ran[0, :, :height, :width], finite=torch.isfinite(ran.sum()), gates=frame.gates)
    output = workspace.take((1, 3, height, width), torch.float32, torch.contiguous_format, runtime.device)[0]
    stages = architecture.stages(keep_skips=plan.waiting is Waiting.DEVICE)
    maps: _WaitingMaps | _NoMaps
    if plan.waiting is Waiting.NOWHERE:
        maps = _NoMaps(runtime, padded, workspace)
    else:
        store = torch.device("cpu") if plan.waiting is Waiting.HOST else padded.device
        maps = _WaitingMaps(runtime, stages, store, padded, workspace)
    axes = [split(s, t, architecture.multiple) for s, t in zip(size, plan.tile, strict=True)]
    for k, stage in enumerate(stages):
        if plan.waiting is Waiting.NOWHERE and frame.are_known and k < len(stages) - 1:
            continue  # the last stage runs those before it, and no mean is asked for
        # what is computed again keeps one shape through all stages
        sure = stages if plan.waiting is Waiting.NOWHERE else (stage,)
        windows = [cores(architecture, sure, tiles, s) for tiles, s in zip(axes, size, strict=True)]
        for tile, at in zip(product(*axes), product(*windows), strict=True):
            made = maps.compute(k, at, frame.gates)
            for name in stage.writes:
                if name == "output":
                    _paste(made[name], at, architecture.scale, tile, output)
                    frame.finite &= torch.isfinite(made[name].sum(dtype=torch.float32))
                    workspace.give(made[name])
                    continue
                part, own = _own_part(architecture.maps()[name], made[name], at, tile, size)
                if name in SE_MAPS and not frame.are_known:
                    frame.add(part)
                maps.keep(name, made[name], part, own)
            del made
        if k < len(SE_BLOCKS) and not frame.are_known:
            frame.close()
        maps.close(k)
    return Ran(output=output, finite=frame.finite, gates=frame.gates)


def _at_once(
    runtime: Runtime, padded: Tensor, alpha: float, frame: _FrameGates, workspace: Workspace, with_gates: bool
) -> Tensor | None:
    """The network's output by one graph, where the runtime has it; the frame's gates too, where they are asked for."""
    if frame.are_known:
        return runtime.run_gated(padded, frame.gates, workspace)
    ran = runtime.run_network(padded, alpha, workspace, with_gates=with_gates)
    if ran is None:
        return None
    frame.gates += ran[1]
    return ran[0]


def _own_part(
    feature: FeatureMap, x: Tensor, at: tuple[Span, ...], tile: tuple[Span, ...], size: tuple[int, int]
) -> tuple[Tensor, list[Span]]:
    """The part of ``x``, made on the input pixels ``at``, that the tile owns, and where in the map it lies."""
    own = [owned(feature, t, s) for t, s in zip(tile, size, strict=True)]
    top, left = (int(a.start * feature.rate) for a in at)
    part = x[:, :, own[0].start - top : own[0].stop - top, own[1].start - left : own[1].stop - left]
    return part, own


def _paste(x: Tensor, at: tuple[Span, ...], scale: int, tile: tuple[Span, ...], output: Tensor) -> None:
    """Copy the tile's own part of the stage's output into the frame, without the rounded-up border."""
    rows, columns = (
        Span(start=t.start * scale, stop=min(t.stop * scale, limit))
        for t, limit in zip(tile, output.shape[1:], strict=True)
    )
    top, left = (a.start * scale for a in at)
    output[:, rows.start : rows.stop, columns.start : columns.stop] = x[
        0, :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
