"""A backend that builds engines as long as a test wants, and whose results are seen to be its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from vscugan.architectures.parts import Stage
from vscugan.runtime import torch_backend, torch_runtime
from vscugan.runtime.torch_runtime import TorchRuntime
from vscugan.runtime.workspace import Workspace

#: What is added to each pixel; a power of two, so that taking it off again leaves rounding only.
MARK = 0.25


class SlowRuntime(TorchRuntime):
    """torch's, brighter by ``MARK``. ``build``: is called for each shape that a stage has not met before."""

    name = "slow"
    build: Callable[[], None] = staticmethod(lambda: None)

    def run_stage(
        self, k: int, stage: Stage, read: Mapping[str, Tensor], gates: Mapping[str, Tensor], workspace: Workspace
    ) -> dict[str, Tensor]:
        shape = (k, *(tuple(x.shape) for x in read.values()))
        with self._lock:
            if shape not in self._built:
                SlowRuntime.build()
                self._built.add(shape)
        written = super().run_stage(k, stage, read, gates, workspace)
        return {name: y + MARK if name == "output" else y for name, y in written.items()}

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._lock, self._built = threading.Lock(), set[object]()


ROWS = (
    replace(
        torch_backend.ROWS[0],
        name="slow",
        make=lambda weights, device, precision: SlowRuntime(weights, device.tensors, torch_runtime.DTYPES[precision]),
        meanwhile="torch",
    ),
)


def is_slow(result: Tensor, plain: Tensor) -> bool:
    """Whether all of a result is this runtime's; raises where it is neither this one's nor all of torch's."""
    added = (result - plain).abs()
    inside = (plain > 0) & (plain < 1 - MARK)  # elsewhere results are clipped
    if torch.equal(result, plain):
        return False
    assert bool(((added - MARK).abs()[inside] < 1e-6).all())
    return True
