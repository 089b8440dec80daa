"""A frame through the five stages, whole or in tiles, with the SE means over the whole frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from vscugan.network import SE_BLOCKS, SE_MAPS, Architecture, Stage
from vscugan.runtime.protocol import Runtime
from vscugan.tiling.geometry import Span, core, owned, round_up, split, window
from vscugan.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a frame is cut and where its features wait between the stages."""

    tile: tuple[int, int]  #: height, width in source px; 0 = the whole axis
    keep_skips: bool = True  #: hold the two 64-channel skips, or compute them again
    on_host: bool = False  #: features wait in host memory instead of on the device

    def whole(self, height: int, width: int) -> bool:
        """Whether a frame of this size is one tile."""
        return all(not t or t >= size for t, size in zip(self.tile, (height, width), strict=True))


def waiting_bytes(architecture: Architecture, height: int, width: int, plan: Plan, item_bytes: int) -> int:
    """Peak of the bytes that wait between stages for a frame of ``height`` x ``width``."""
    maps, stages = architecture.maps(), architecture.stages(keep_skips=plan.keep_skips)
    size = [round_up(s, architecture.multiple) for s in (height, width)]

    def held(names: set[str]) -> int:
        return sum(maps[n].channels * maps[n].size(size[0]) * maps[n].size(size[1]) for n in names)

    peak = 0
    for k in range(len(stages)):
        written = {n for s in stages[: k + 1] for n in s.writes} | {"input"}
        needed = {n for s in stages[k:] for n in s.reads} | set(stages[k].writes)
        peak = max(peak, held(written & needed))
    return peak * item_bytes


def working_bytes(architecture: Architecture, tile: tuple[int, int], item_bytes: int) -> int:
    """Bytes that a stage needs beside the waiting maps while it computes one tile.

    Three 64-channel maps at the size after the tail: 1.4 (2x), 1.3 (3x) and 2.2 (4x) were measured on the
    CPU as peak resident memory of whole frames, less ``waiting_bytes``.
    """
    rate, halo = architecture.tail_stride, 2 * architecture.pad_px
    return 3 * 64 * (tile[0] + halo) * (tile[1] + halo) * rate * rate * item_bytes


class _Maps:
    """Feature maps of one frame, whole, each freed after its last reader."""

    def __init__(
        self,
        runtime: Runtime,
        architecture: Architecture,
        plan: Plan,
        padded: Tensor,
        size: tuple[int, int],
        workspace: Workspace,
    ) -> None:
        self._runtime, self._features, self._size = runtime, architecture.maps(), size
        self._workspace, self._windows = workspace, list[Tensor]()
        self._store = torch.device("cpu") if plan.on_host else padded.device
        self._whole: dict[str, Tensor] = {"input": padded}

    def read(self, stage: Stage, spans: tuple[Span, Span]) -> dict[str, Tensor]:
        """Windows of the maps that a stage reads when it runs on the input pixels ``spans``."""
        out = {}
        for name, crop_px in stage.reads.items():
            rows, columns = (window(self._features[name], s, crop_px) for s in spans)
            view = self._whole[name][:, :, rows.start : rows.stop, columns.start : columns.stop]
            if view.device != self._runtime.device:
                view = view.to(self._runtime.device)
            elif self._runtime.dense_windows and not view.is_contiguous(memory_format=self._runtime.memory_format):
                dense = self._workspace.take(view.shape, view.dtype, self._runtime.memory_format, view.device)
                self._windows.append(dense)
                view = dense.copy_(view)
            out[name] = view
        return out

    def release_windows(self) -> None:
        """The stage has run: what ``read`` copied is free again."""
        for window_copy in self._windows:
            self._workspace.give(window_copy)
        self._windows.clear()

    def write(self, name: str, x: Tensor, at: tuple[Span, Span], tile: tuple[Span, Span]) -> Tensor:
        """Store the part of ``x`` that the tile owns, and return that part."""
        feature = self._features[name]
        own = [owned(feature, t, s) for t, s in zip(tile, self._size, strict=True)]
        first = [int(a.start * feature.rate) for a in at]
        part = x[
            :,
            :,
            own[0].start - first[0] : own[0].stop - first[0],
            own[1].start - first[1] : own[1].stop - first[1],
        ]
        full = tuple(feature.size(s) for s in self._size)
        if part.shape[2:] == full and x.device == self._store:
            self._whole[name] = part  # one tile: the stage's own result is the map
        else:
            if name not in self._whole:
                shape = (1, feature.channels, *full)
                self._whole[name] = self._workspace.take(shape, x.dtype, self._runtime.memory_format, self._store)
            self._whole[name][:, :, own[0].start : own[0].stop, own[1].start : own[1].stop] = part
        return part

    def keep_only(self, names: set[str]) -> None:
        """Free the maps that no later stage reads."""
        for name in self._whole.keys() - names:
            self._workspace.give(self._whole.pop(name))


def run(
    runtime: Runtime,
    padded: Tensor,
    size: tuple[int, int],
    plan: Plan,
    shown: tuple[int, int],
    alpha: float,
    workspace: Workspace,
) -> tuple[Tensor, Tensor]:
    """Run the network on a padded frame.

    ``padded``: (1, 3, H + 2 pad, W + 2 pad) in the network's range, H and W (``size``) multiples of the
    architecture's. ``shown``: the (height, width) of the frame without what rounding up added. ``workspace``
    has the memory of the frames before.
    Returns (3, scale*height, scale*width) in the network's range in fp32, which the next call with this workspace
    may write again, and a boolean scalar tensor: whether every SE mean and output was finite.
    """
    architecture = runtime.architecture
    height, width = (s * architecture.scale for s in shown)
    if plan.whole(*size):
        whole = runtime.run_network(padded, alpha, workspace)
        if whole is not None:
            return whole[0, :, :height, :width], torch.isfinite(whole.sum())
    output = workspace.take((1, 3, height, width), torch.float32, torch.contiguous_format, runtime.device)[0]
    stages = architecture.stages(keep_skips=plan.keep_skips)
    maps = _Maps(runtime, architecture, plan, padded, size, workspace)
    axes = [split(s, t, architecture.multiple) for s, t in zip(size, plan.tile, strict=True)]
    gates: list[Tensor] = []
    finite = torch.ones((), dtype=torch.bool, device=runtime.device)
    for k, stage in enumerate(stages):
        total: Tensor | None = None
        for tile in product(axes[0], axes[1]):
            at = (core(architecture, stage, tile[0], size[0]), core(architecture, stage, tile[1], size[1]))
            made = runtime.run_stage(k, stage, maps.read(stage, at), gates, workspace)
            for name in stage.writes:
                if name == "output":
                    _paste(made[name], at, architecture.scale, tile, output)
                    finite &= torch.isfinite(made[name]).all()
                    continue
                part = maps.write(name, made[name], at, tile)
                if name in SE_MAPS:
                    # rows in fp32, columns in double where the device has it: as exact as the whole frame
                    rows = part.sum(3, dtype=torch.float32)
                    tile_total = rows.sum(2, dtype=runtime.sum_dtype)
                    total = tile_total if total is None else total + tile_total
            del made
            maps.release_windows()
        if total is not None:
            feature = architecture.maps()[SE_MAPS[k]]
            mean = total / (feature.size(size[0]) * feature.size(size[1]))
            finite &= torch.isfinite(mean).all()
            gates.append(runtime.gate(SE_BLOCKS[k], mean, alpha if k == len(SE_BLOCKS) - 1 else 1.0))
        maps.keep_only({name for later in stages[k + 1 :] for name in later.reads})
    return output, finite


def _paste(x: Tensor, at: tuple[Span, Span], scale: int, tile: tuple[Span, Span], output: Tensor) -> None:
    """Copy the tile's own part of the stage's output into the frame, without the rounded-up border."""
    rows, columns = (
        Span(start=t.start * scale, stop=min(t.stop * scale, limit))
        for t, limit in zip(tile, output.shape[1:], strict=True)
    )
    top, left = (a.start * scale for a in at)
    output[:, rows.start : rows.stop, columns.start : columns.stop] = x[
        0, :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
