"""Reader of torch's own files, such as the official ``.pth``.

It runs no code from the file, and takes no more memory than the file and what it says that it holds, up to
``LARGEST_BYTES``: a file's directory and its pickle are looked through before torch is let at it.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vscugan.errors import WeightsError
from vscugan.models.stored_tensors import StoredTensor, official_names
from vscugan.models.weight_file import LARGEST_HEADER_BYTES, RETRY, WEIGHTS_ALONE, check_size

#: Of a pickle; a transformer's checkpoint of 3,000 tensors, and their running mean, has 90,000.
MOST_OPCODES = 200_000
#: How deep its values may lie in each other; a checkpoint's lie 8 deep. To hash 130,000 tuples in each other, or fewer
#: where the stack is small, crashes Python.
DEEPEST = 100
#: Of a zip file; such a checkpoint has 6,000.
MOST_ENTRIES = 10_000
#: keys under which training code nests the state dict
_NESTS = ("model_state_dict", "state_dict", "params_ema", "params-ema", "params", "model", "net")
ZIP_MAGIC, ZIP_ENTRY_MAGIC, PICKLE_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"\x80"
PICKLE_PROTOCOL = 2
#: magic number, version, system, state dict, names of storages: so torch wrote before 1.6
PICKLES_OF_OLD_FILES = 5
#: On the stack of a pickle: what a mark stands before.
_BEYOND_MARK = (pickletools.markobject, pickletools.stackslice)
#: What puts values into one that is there already.
_FILLS = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}
_ENTRY = re.compile(r"[^/]+/(data\.pkl|version|byteorder|data/\d+)")
#: What a state dict's pickle calls; beside these only torch's constants.
_CALLS = {
    "collections.OrderedDict",
    "collections.Counter",  # of a scheduler in a checkpoint
    "torch.Size",
    "torch.storage.UntypedStorage",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
}


def _damaged(path: Path, kind: str) -> WeightsError:
    return WeightsError(f"{path} must be a {kind} file, got damaged data; {RETRY}")


def read_pth(data: bytes, path: Path) -> tuple[dict[str, object], bool]:
    """Tensors, and what else there is, by name, and whether the file says Pro (a ``pro`` key, as the official files).

    Raises: WeightsError where the file is damaged, or its pickle would run code.
    """
    state, pro = _state(data, path)
    return {name: _stored(value) if isinstance(value, Tensor) else value for name, value in state.items()}, pro


def torch_tensors(data: bytes, path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.pth`` or safetensors file that was read before, as torch has them."""
    if path.suffix.lower() != ".safetensors":
        return _state(data, path)[0]
    from safetensors.torch import load

    try:
        return official_names(load(data))
    except Exception:  # a type of numbers that torch does not have is an AttributeError, and so on
        raise _damaged(path, "safetensors") from None


def _stored(tensor: Tensor) -> StoredTensor:
    return StoredTensor(
        shape=tuple(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."), fp32=partial(_fp32, tensor)
    )


def _fp32(tensor: Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().float().resolve_neg().contiguous().numpy())


def _state(data: bytes, path: Path) -> tuple[dict[str, Tensor], bool]:
    """The state dict, and whether the file says Pro; what is in it may be no tensor. Raises: WeightsError."""
    try:
        if data.startswith(ZIP_MAGIC):
            data = _repacked(data, path)
        elif data.startswith(PICKLE_MAGIC):
            _check_pickles(io.BytesIO(data), PICKLES_OF_OLD_FILES, path)
        else:
            got = f"data that begins with {data[:8]!r}" if data else "an empty file"
            raise WeightsError(f"{path} must be a torch file, got {got}; {RETRY}")
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception:  # zipfile, pickletools and torch raise whatever a damaged file leads them to
        raise _damaged(path, "torch") from None
    if not isinstance(state, dict):
        raise WeightsError(f"{path} must hold a state dict, got {type(state).__name__}; {RETRY}")
    pro = "pro" in state
    state = next((state[nest] for nest in _NESTS if isinstance(state.get(nest), dict)), state)
    unnamed = next((name for name in state if not isinstance(name, str)), None)
    if unnamed is not None:
        raise WeightsError(f"{path} must hold tensors by name, got a name of type {type(unnamed).__name__}; {RETRY}")
    return official_names(state), pro or "pro" in state


def _repacked(data: bytes, path: Path) -> bytes:
    """The zip file anew, with nothing in it but what torch reads, so that torch can't see another directory than we.

    Raises: WeightsError where that is too large or would run code.
    """
    if data.count(ZIP_ENTRY_MAGIC) > MOST_ENTRIES:
        raise _damaged(path, "torch")
    repacked = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(repacked, "w") as into:
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            raise WeightsError(f"{path} must hold a state dict, got a TorchScript program; save its state_dict()")
        entries = {found[1]: entry for entry in archive.infolist() if (found := _ENTRY.fullmatch(entry.filename))}
        check_size(path, sum(entry.file_size for entry in entries.values()))
        for part, entry in entries.items():
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _damaged(path, "torch")
            with archive.open(entry) as file:
                content = file.read(entry.file_size)  # without a size it unpacks more than the directory says
            if part == "data.pkl":
                _check_pickles(io.BytesIO(content), 1, path)
            into.writestr(f"archive/{part}", content)
    return repacked.getvalue()


def _check_pickles(stream: io.BytesIO, count: int, path: Path) -> None:
    """Raise WeightsError for pickles, one after the other, that call or hold what no state dict does; calls nothing."""
    opcodes, protocol = 0, PICKLE_PROTOCOL
    for _ in range(count):
        strings: list[str] = []  # protocol 4 takes a call's name from the two before it
        depth = _Depth()
        for opcode, argument, _at in pickletools.genops(stream):
            opcodes += 1
            if opcodes > MOST_OPCODES or stream.tell() > LARGEST_HEADER_BYTES:
                raise WeightsError(f"{path} must hold a network's tensors, got far more; {WEIGHTS_ALONE}")
            if depth.after(opcode, argument) > DEEPEST:
                raise WeightsError(f"{path} must hold tensors by name, got values nested too deep; {WEIGHTS_ALONE}")
            if opcode.name == "PROTO":
                protocol = max(protocol, int(argument or 0))  # lower ones are a part of it
            elif opcode.name in ("GLOBAL", "INST"):
                _check_call(str(argument).replace(" ", "."), path)
            elif opcode.name == "STACK_GLOBAL":
                _check_call(".".join(strings[-2:]), path)
            elif isinstance(argument, str):
                strings.append(argument)
    if protocol != PICKLE_PROTOCOL:
        raise WeightsError(
            f"{path} must be a pickle of protocol {PICKLE_PROTOCOL}, got {protocol}; "
            "save it again by torch.save without pickle_protocol"
        )


class _Depth:
    """How deep values lie in each other while a pickle is read: the stack of its machine with depths for values."""

    def __init__(self) -> None:
        self._stack: list[int | None] = []  # None is a mark
        self._memo: dict[object, int] = {}

    def after(self, opcode: pickletools.OpcodeInfo, argument: object) -> int:
        """How deep the value lies that an operation makes; IndexError for a pickle that does not add up."""
        name = opcode.name
        if name == "MARK":
            self._stack.append(None)
            return 0
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = self._stack[-1] or 0
            return 0
        if name in ("GET", "BINGET", "LONG_BINGET"):
            self._stack.append(self._memo.get(argument, 0))
            return 0
        taken = []
        if pickletools.markobject in opcode.stack_before:
            while (value := self._stack.pop()) is not None:
                taken.append(value)
        for _ in range(sum(kind not in _BEYOND_MARK for kind in opcode.stack_before)):
            taken.append(self._stack.pop() or 0)
        own = taken.pop() if name in _FILLS else 0
        depth = max(own, *(value + 1 for value in taken), 0)
        self._stack += [depth] * len(opcode.stack_after)
        return depth


def _check_call(name: str, path: Path) -> None:
    """Raise WeightsError for a name that no state dict's pickle has."""
    module, _, attribute = name.rpartition(".")
    is_constant = attribute.endswith("Storage") or isinstance(vars(torch).get(attribute), torch.dtype)
    if name in _CALLS or (module == "torch" and is_constant):
        return
    if name.startswith("torch._utils._rebuild_"):
        raise WeightsError(f"{path} must hold plain tensors, got one of {name[:80]!r}; save dense ones on the CPU")
    raise WeightsError(
        f"{path} must hold only tensors, got a pickle that would run {name[:80]!r}; do not trust this file"
    )

