"""A runtime that reaches a GPU by itself, as the tests of GPUs take it."""

from __future__ import annotations

from typing import Any

from vscugan.engine.engine import Engine
from vscugan.runtime.device import Adapter
from vscugan.settings import validate


class GpuRuntime:
    """A backend, and the first GPU that it reaches."""

    def __init__(self, backend: str, device: str, adapter: Adapter) -> None:
        self.backend, self.device, self.adapter = backend, device, adapter
        self.arguments = {"backend": backend, "device": device}
        self._kept: dict[str, Engine] = {}

    def engine(self, **arguments: Any) -> Engine:
        """An engine; each is made once, as compiling its shaders takes seconds."""
        key = repr(arguments)
        if key not in self._kept:
            self._kept[key] = Engine(validate(**self.arguments, **arguments))
        return self._kept[key]
