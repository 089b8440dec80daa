"""The loop over a network's stages. There is one, whatever the maps are: tensors, tiles of them, symbols or sizes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from vscugan.architectures.parts import Gate, Stage, crop


class Steps(Protocol):
    """What is done at each stage."""

    def run(self, k: int, stage: Stage) -> None:
        """Run stage ``k`` on all of the maps that it reads, and keep what it writes."""

    def close_gate(self, gate: Gate) -> None:
        """The map of a gate is whole: make the gate."""

    def free(self, needed: Collection[str]) -> None:
        """No map but these is read by a later stage."""


def run_stages(stages: Sequence[Stage], steps: Steps) -> None:
    """Run a network, stage by stage."""
    for k, stage in enumerate(stages):
        steps.run(k, stage)
        if stage.gate is not None:
            steps.close_gate(stage.gate)
        steps.free({name for later in stages[k + 1 :] for name in later.reads})


class WholeMaps:
    """Steps on whole maps.

    ``maps`` and ``gates``: by name, at first what is given, at the end also what was made. ``run_stage``: (k, stage,
    cropped maps, gates) -> maps; ``make_gate``: of a gate and its map, for gates that are not given; ``give_back``:
    takes a map that no stage reads any more and that is not ``wanted``.
    """

    def __init__(
        self,
        maps: dict[str, Any],
        gates: dict[str, Any],
        run_stage: Callable[[int, Stage, dict[str, Any], dict[str, Any]], dict[str, Any]],
        make_gate: Callable[[Gate, Any], Any] | None = None,
        give_back: Callable[[Any], None] | None = None,
        wanted: Collection[str] = (),
    ) -> None:
        self.maps, self.gates = maps, gates
        self._run_stage, self._make_gate = run_stage, make_gate
        self._give_back, self._wanted = give_back, wanted

    def run(self, k: int, stage: Stage) -> None:
        """See ``Steps``."""
        read = {name: crop(self.maps[name], px) for name, px in stage.reads.items()}
        self.maps |= self._run_stage(k, stage, read, self.gates)

    def close_gate(self, gate: Gate) -> None:
        """See ``Steps``."""
        if gate.name not in self.gates and self._make_gate is not None:
            self.gates[gate.name] = self._make_gate(gate, self.maps[gate.map])

    def free(self, needed: Collection[str]) -> None:
        """See ``Steps``."""
        if self._give_back is not None:
            for name in self.maps.keys() - needed - set(self._wanted):
                self._give_back(self.maps.pop(name))


def run_network(
    stages: Sequence[Stage],
    operators: Any,
    x: Any,
    gates: dict[str, Any] | None = None,
    *,
    make_gate: Callable[[Gate, Any], Any] | None,
) -> WholeMaps:
    """A network's stages on a picture, as the border rule wants it, in the network's range; all maps and gates by name.

    ``operators``: ``Operators``; ``gates``: those that are given; ``make_gate``: the others, of a gate and its map.
    """
    whole = WholeMaps(
        {"input": x},
        dict(gates or {}),
        lambda k, stage, read, so_far: stage.run(operators, read, so_far),
        make_gate,
    )
    run_stages(stages, whole)
    return whole
