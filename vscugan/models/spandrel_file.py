"""Reader of the networks that the package spandrel understands, from the tensors of a file.

spandrel sees tensors only, never the file: nothing in it is run. What it makes of them is bounded, tried on small
pictures and measured before a frame is.
"""

from __future__ import annotations

import importlib
import re
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import FlopCounterMode

from vscugan.architectures.shapes import round_up
from vscugan.errors import WeightsError
from vscugan.install import version
from vscugan.models.probe import MOST_BYTES, drawn_picture, measured_halo
from vscugan.models.weight_file import LARGEST_BYTES, RETRY, check_size
from vscugan.models.whole_network import (
    LARGEST_SCALE,
    Measured,
    TorchNetwork,
    WholeNetwork,
    architecture_of,
    measured_once,
)

PACKAGE = "spandrel"
#: Networks that vscugan reads itself: a file that it refuses as one of these is no other.
OURS = frozenset({"RealCUGAN"})
#: A network's layers are counted by the numbers in their names; the deepest have a few hundred.
MOST_LAYERS = 4096
#: Of memory, beside its tensors, that a network may take when it is made: masks of windows, and the like.
LARGEST_BUFFERS = LARGEST_BYTES
#: The side of the first picture, in px, and what the network may then take: 25 times as much as ESRGAN does.
FIRST_PX, MOST_VALUES_PER_PX = 32, 50_000


class _Memory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are made and still alive; ``peak``: the most at once.

    Raises MemoryError where they are more than ``most``, before they are written to where torch makes them empty.
    """

    def __init__(self, most: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak, self._now, self._most, self._seen = 0, 0, most, set[int]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return made

    def ignore(self, tensor: Tensor) -> None:
        """Not counted: it was there before."""
        self._seen.add(id(tensor.untyped_storage()))

    def _count(self, storage: torch.UntypedStorage) -> None:
        if id(storage) in self._seen:
            return
        self._seen.add(id(storage))
        size = storage.nbytes()
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._gone, id(storage), size)
        if self._now > self._most:
            raise MemoryError(f"more than {self._most >> 20} MiB")

    def _gone(self, storage: int, size: int) -> None:
        self._seen.discard(storage)
        self._now -= size


def read_spandrel(
    tensors: Mapping[str, Tensor], path: Path, sha256: str, notify: Callable[[str], None]
) -> WholeNetwork | None:
    """The network and its architecture; None where spandrel does not know such tensors.

    ``sha256``: of the file, for what was measured before. ``notify`` is told where it must be measured now.
    Raises: WeightsError for what spandrel or the network refuses, or what no frame can be computed with.
    """
    architecture = _detected(tensors)
    if architecture is None or architecture.id in OURS:
        return None
    _check_tensors(tensors, path)
    found = _built(architecture, tensors, path)
    family = " ".join([found.architecture.name, *found.tags])
    _check_contract(found, family, path)
    versions = f"spandrel {version(PACKAGE)}, torch {torch.__version__}"
    measured = measured_once(PACKAGE, sha256, versions, lambda: _measured(found, family, path), notify)
    measured = replace(measured, scale=found.scale)  # whatever the cache says
    half = {"fp16": found.supports_half, "bf16": found.supports_bfloat16}
    return WholeNetwork(
        network=TorchNetwork(run=found, precisions=("fp32", *(name for name, has in half.items() if has))),
        architecture=architecture_of(f"spandrel-{found.architecture.id}", found.architecture.name, measured),
        what=f"{family}, {measured.scale}x; {measured.tiles}",
    )


def _check_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise WeightsError for what no network's state dict holds."""
    for name in tensors:
        if any(int(number) > MOST_LAYERS for number in re.findall(r"\d{1,20}", name)):
            raise WeightsError(f"{path} must hold at most {MOST_LAYERS} layers, got {name[:80]!r}; {RETRY}")
    # of what they say that they hold: a tensor's values may share memory
    check_size(path, sum(tensor.numel() * tensor.itemsize for tensor in tensors.values()))
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all():
            raise WeightsError(f"{path} must hold finite numbers, got others in {name}; {RETRY}")


def _detected(tensors: Mapping[str, Tensor]) -> Any:
    """spandrel's architecture that has tensors of these names, None where it knows none."""
    if not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        return None
    spandrel = importlib.import_module(PACKAGE)
    state = spandrel.canonicalize_state_dict(dict(tensors))
    for row in spandrel.MAIN_REGISTRY.architectures("detection"):
        with suppress(Exception):  # whatever tensors of other shapes lead it to
            if row.detect(state):
                return row.architecture
    return None


def _built(architecture: Any, tensors: Mapping[str, Tensor], path: Path) -> Any:
    """spandrel's model of these tensors, in fp32 on the CPU.

    Raises: WeightsError.
    """
    spandrel = importlib.import_module(PACKAGE)
    memory = _Memory(LARGEST_BUFFERS + sum(tensor.numel() * 4 for tensor in tensors.values()))
    try:
        with memory:
            found = architecture.load(spandrel.canonicalize_state_dict(dict(tensors)))
    except Exception as error:  # whatever tensors of other shapes lead it to
        raise WeightsError(
            f"{path} must hold a network that spandrel can build, got {architecture.name} and {_reason(error)}; {RETRY}"
        ) from error
    found.model.register_forward_hook(_not_finite_at_all)
    found.model.requires_grad_(False)  # counting its operations watches the tensors that have a gradient
    return found.float().eval()


def _not_finite_at_all(module: torch.nn.Module, given: object, made: Any) -> Any:
    """NaN in place of results with Inf, which spandrel would clamp to 1; copies of the network have this, too."""
    return tree_map_only(Tensor, lambda y: y + (0 * y.sum(dtype=torch.float32)).to(y.dtype), made)


def _reason(error: Exception) -> str:
    """An error in one short line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _check_contract(found: Any, family: str, path: Path) -> None:
    """Raise WeightsError for networks that are not from pictures to pictures as a clip has them."""
    if not isinstance(found, importlib.import_module(PACKAGE).ImageModelDescriptor):
        raise WeightsError(f"{path} must hold a network that takes a picture alone, got {family}; use another file")
    channels = (found.input_channels, found.output_channels)
    if channels != (3, 3):
        raise WeightsError(
            f"{path} must hold a network from 3 channels to 3, got {family} from {channels[0]} to {channels[1]}; "
            "use another file"
        )
    if found.size_requirements.square:
        raise WeightsError(f"{path} must hold a network for pictures of any shape, got {family}; use another file")
    if found.scale > LARGEST_SCALE:
        raise WeightsError(f"{path} must have a scale of at most {LARGEST_SCALE}, got {found.scale}; use another file")


def _measured(found: Any, family: str, path: Path) -> Measured:
    """See ``Measured``. Raises: WeightsError where the network can't compute the drawn pictures."""
    needs = found.size_requirements
    multiple, minimum_px = int(needs.multiple_of), round_up(max(1, int(needs.minimum)), int(needs.multiple_of))
    side = round_up(max(FIRST_PX, minimum_px), multiple)
    picture, memory = drawn_picture(side, side), _Memory(MOST_VALUES_PER_PX * side * side * 4)
    for tensor in (*found.model.parameters(), *found.model.buffers()):
        memory.ignore(tensor)
    try:
        with FlopCounterMode(display=False) as operations, memory:
            found(picture.clone())
        _check_result(found(picture.clone()), found(picture.clone()), found.scale * side, family, path)
        with _Memory(MOST_BYTES):
            halo = measured_halo(lambda x: found(x.clone()), found.scale, multiple, minimum_px)
    except WeightsError:
        raise
    except Exception as error:  # whatever the network's own code raises
        raise WeightsError(
            f"{path} must hold a network that computes a picture, got {family} and {_reason(error)}; use another file"
        ) from error
    return Measured(
        scale=found.scale,
        multiple=halo[0],
        minimum_px=round_up(minimum_px, halo[0]),
        pad_px=0,
        halo_px=halo[1],
        difference=halo[2],
        widest=memory.peak / 4 / side**2,
        multiply_adds=operations.get_total_flops() / 2 / side**2,
    )


def _check_result(first: Tensor, again: Tensor, side: int, family: str, path: Path) -> None:
    """Raise WeightsError where a network's first results are not what they must be."""
    if first.shape != (1, 3, side, side):
        raise WeightsError(f"{path} must make a picture of {side} px, got {tuple(first.shape)} by {family}; {RETRY}")
    if not torch.isfinite(first).all():
        raise WeightsError(f"{path} must make finite numbers, got NaN by {family}; {RETRY}")
    if not torch.equal(first, again):
        raise WeightsError(
            f"{path} must make the same picture each time, got {family}, which adds noise; use another file"
        )
