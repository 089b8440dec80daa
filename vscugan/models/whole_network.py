"""A network of the user's own that a runtime runs as it is: what must be known of it is measured, and kept.

It becomes an ``Architecture`` without layers and with one stage.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import isfinite
from typing import Any, Literal

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import WHOLE_FRAME_PX, Border, Maps, Operators, Stage
from vscugan.architectures.shapes import FeatureMap, LayerCost, Shapes
from vscugan.cache import read_cached, write_cached

LARGEST_SCALE = 16  #: of a network; also of the option
#: Of what is kept; to be raised where measuring changes.
VERSION = 2

#: What a runtime is given: the layers of an architecture with their tensors, a module of torch, or a graph in ONNX.
Form = Literal["layers", "module", "onnx"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TorchNetwork:
    """A network as torch runs it.

    ``run``: of spandrel, (1, 3, h, w) in 0..1 -> (1, 3, scale*h, scale*w) in 0..1, with ``to(device, dtype)``; it may
    write over what it is given.
    ``precisions``: those that it was made for.
    """

    run: Any
    precisions: tuple[str, ...]
    form: Form = "module"


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxNetwork:
    """A network in ONNX: ``input`` (1, 3, h, w) fp32 -> ``output``, as the architecture's border rule has it."""

    model: bytes
    form: Form = "onnx"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was found by running a network.

    ``minimum_px``: of its input, a multiple of ``multiple``. ``pad_px``: what its output lacks on each side, in px of
    the picture. ``halo_px``: 0 where a tile needs nothing beside ``pad_px``, None where it needs the whole frame.
    ``difference``: the largest of a tile to the whole picture, of a range of 1, with that halo or the widest that was
    tried. ``widest``, ``multiply_adds``: see ``Shapes``.
    """

    scale: int
    multiple: int
    minimum_px: int
    pad_px: int
    halo_px: int | None
    difference: float
    widest: float
    multiply_adds: float

    @property
    def is_valid(self) -> bool:
        """Whether the picture is padded for the network, so that it pads nothing."""
        return self.halo_px == 0

    @property
    def tiles(self) -> str:
        """How frames are computed, in words."""
        codes = f"{self.difference * 255:.2g} codes of 8 bit on a test picture"
        if self.halo_px is None:
            return f"frames are computed whole, because its tiles differ by {codes}; halo= makes tiles all the same"
        return f"tiles see {self.halo_px or self.pad_px} px around themselves, and differ from the whole by {codes}"


@dataclass(frozen=True, kw_only=True, eq=False)
class WholeNetwork:
    """What a reader has found; ``what``: in words, with how frames are computed."""

    network: TorchNetwork | OnnxNetwork
    architecture: Architecture
    what: str


def measured_once(
    kind: str, sha256: str, versions: str, measure: Callable[[], Measured], notify: Callable[[str], None]
) -> Measured:
    """What was measured before of this file by these ``versions``, or is now; ``kind``: of the file."""
    name = f"networks/{kind}-{sha256[:32]}.json"
    about = {"version": VERSION, "sha256": sha256, "measured_by": versions}
    found = _parsed(read_cached(name), about)
    if found is None:
        notify(f"weights: what tiles of this {kind} file must see is measured once, which may take some minutes")
        found = measure()
        write_cached(name, json.dumps(about | asdict(found)).encode())
    return found


def _parsed(content: bytes | None, about: dict[str, Any]) -> Measured | None:
    """What is kept, None where that is not ours, damaged, or of something else."""
    try:
        kept = json.loads(content or b"")
        if any(kept.pop(name) != value for name, value in about.items()):
            return None
        found = Measured(**kept)
        counts = (found.scale, found.multiple, found.minimum_px)
        rest = (found.pad_px, found.halo_px or 0, found.difference, found.widest, found.multiply_adds)
        is_sound = all(isfinite(n) and n >= 0 for n in rest) and min(counts) >= 1 and max(counts) < WHOLE_FRAME_PX
        return found if is_sound and all(isinstance(n, int) for n in (*counts, *rest[:2])) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def check_made(architecture: Architecture, taken: Any, made: Any) -> None:
    """Raise RuntimeError where a result has not the size that was measured; ``taken``: an array with the border."""
    sides = [architecture.scale * (int(px) - 2 * architecture.pad_px) for px in taken.shape[2:]]
    if list(made.shape) != [1, 3, *sides]:
        raise RuntimeError(f"a result of {list(made.shape)} in place of {[1, 3, *sides]}, which follows from the cache")


def _not_run(operators: Operators, maps: Maps, gates: Maps) -> dict[str, Any]:
    raise NotImplementedError  # runtimes run the whole network


def architecture_of(name: str, family: str, measured: Measured) -> Architecture:
    """The architecture of a network that was measured; ``name``: of all such, ``family``: as users know it."""
    pad_px = measured.pad_px if measured.is_valid else 0
    reach_px = pad_px if measured.is_valid else WHOLE_FRAME_PX

    def picture(scale: int, extra: int, reach_px: int) -> FeatureMap:
        rate = Fraction(scale)
        return FeatureMap(rate=rate, extra=extra, channels=3, reach_px=reach_px, stage_reach_px=reach_px)

    return Architecture(
        name=name,
        family=family,
        scale=measured.scale,
        border=Border.VALID if measured.is_valid else Border.SAME,
        multiple=measured.multiple,
        minimum_px=measured.minimum_px,
        layers=(),
        stages=(Stage(run=_not_run, reads={"input": 0}, writes=("output",)),),
        pad_px=pad_px,
        tile_halo_px=None if measured.is_valid else measured.halo_px,
        given_shapes=Shapes(
            maps={"input": picture(1, 2 * pad_px, 0), "output": picture(measured.scale, 0, reach_px)},
            multiply_adds=(Fraction(measured.multiply_adds),),
            costs=(LayerCost(multiply_adds=round(measured.multiply_adds), rate=Fraction(1), extra=2 * pad_px),),
            widest=Fraction(measured.widest),
        ),
    )
