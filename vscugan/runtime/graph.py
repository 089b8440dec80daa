"""What is in the graphs of a network, whatever format they are written in: its stages are run on symbols.

Graphs hold any frame size, batch 1. Names of inputs and outputs are those of the architecture: the maps that a stage
reads and writes and the gates, and ``alpha``, a factor, where a gate takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Gate, Stage
from vscugan.architectures.stages import run_network

#: Names in ``prefix_graph``.
MASK, ROW_MEANS = "mask", "row_means"


class Writer(Protocol):
    """Collects the nodes of one graph in the format that its module is named after.

    ``Operators`` on symbols, which have the ``*``, ``+`` and crops of maps.
    """

    architecture: Architecture

    def convolution(self, layer: str, x: Any) -> Any:
        """See ``Operators``."""

    def pixel_shuffle(self, x: Any, factor: int) -> Any:
        """See ``Operators``."""

    def repeat_pixels(self, x: Any, factor: int) -> Any:
        """See ``Operators``."""

    def repeat_edges(self, x: Any, px: int) -> Any:
        """See ``Operators``."""

    def concatenate(self, maps: Sequence[Any]) -> Any:
        """See ``Operators``."""

    def scaled_sum(self, x: Any, y: Any, scale: float) -> Any:
        """See ``Operators``."""

    def map_input(self, name: str) -> Any:
        """A map of the architecture, of any size."""

    def vector_input(self, name: str, channels: int) -> Any:
        """A value for each channel of a map, (1, C, 1, 1)."""

    def mask_input(self, name: str) -> Any:
        """A factor for each column of a map, (1, 1, 1, W)."""

    def gate(self, gate: Gate, x: Any, alpha: Any | None) -> Any:
        """The gate of a whole map, in fp32, times ``alpha`` where it is given."""

    def map_output(self, name: str, x: Any) -> None:
        """A map is asked for."""

    def vector_output(self, name: str, x: Any, channels: int) -> None:
        """A gate is asked for."""

    def row_means_output(self, name: str, x: Any, mask: Any, channels: int) -> None:
        """The mean of each row of a map times the mask, (1, C, H, 1), is asked for.

        It is added up in fp32, and rounded to what the runtime keeps its maps in: a sum might be too large for fp16.
        """

    def model(self) -> bytes:
        """The finished graph."""


def _channels(architecture: Architecture, gates: Iterable[Gate]) -> dict[str, int]:
    return {gate.name: architecture.shapes.maps[gate.map].channels for gate in gates}


def _inputs(writer: Writer, channels: Mapping[str, int]) -> dict[str, Any]:
    return {name: writer.vector_input(name, count) for name, count in channels.items()}


def stage_graph(writer: Writer, stage: Stage) -> bytes:
    """A stage: reads the (cropped) windows of its maps and the gates, writes its maps."""
    channels = _channels(writer.architecture, writer.architecture.gates)
    read = {name: writer.map_input(name) for name in stage.reads}
    gates = _inputs(writer, {name: channels[name] for name in stage.takes})
    # symbols stand for the tensors that the stages are typed for
    run = cast(Callable[..., dict[str, Any]], stage.run)
    written = run(writer, read, gates)
    for name in stage.writes:
        writer.map_output(name, written[name])
    return writer.model()


def network_graph(writer: Writer, *, takes_gates: bool = False, returns_gates: bool = False) -> bytes:
    """All stages: (1, 3, H, W) as the border rule wants it, in the network's range -> ``output`` in that range.

    ``takes_gates``: the gates are inputs, alpha in them. ``returns_gates``: they are outputs, for which runtimes give
    up some of their fusing.
    """
    architecture = writer.architecture
    channels = _channels(architecture, architecture.gates)
    x = writer.map_input("input")
    given = _inputs(writer, channels) if takes_gates else {}
    alpha = writer.vector_input("alpha", 1) if architecture.takes_alpha and not takes_gates else None

    def make_gate(gate: Gate, of: Any) -> Any:
        return writer.gate(gate, of, alpha if gate.takes_alpha else None)

    whole = run_network(architecture.stages, writer, x, given, make_gate=make_gate)
    writer.map_output("output", whole.maps["output"])
    if returns_gates:
        for name, count in channels.items():
            writer.vector_output(name, whole.gates[name], count)
    return writer.model()


def prefix_graph(writer: Writer, last: int) -> bytes:
    """The stages up to ``last`` on a window of the picture, with their gates given -> means of the map of its gate.

    ``mask``: 1 for the map's columns that count, 0 for others, (1, 1, 1, W). ``row_means``: (1, C, H, 1), of all W.
    """
    architecture, stages = writer.architecture, writer.architecture.stages[: last + 1]
    gate = stages[last].gate
    assert gate is not None
    taken = {name for stage in stages for name in stage.takes}
    x = writer.map_input("input")
    gates = _inputs(writer, _channels(architecture, (g for g in architecture.gates if g.name in taken)))
    mask = writer.mask_input(MASK)
    maps = run_network(stages, writer, x, gates, make_gate=None).maps
    writer.row_means_output(ROW_MEANS, maps[gate.map], mask, architecture.shapes.maps[gate.map].channels)
    return writer.model()
