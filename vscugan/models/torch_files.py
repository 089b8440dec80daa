"""Readers of torch's own files: the official ``.pth``, and safetensors. Neither runs code from the file."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import torch
from torch import Tensor

from vscugan.errors import WeightsError

_MEND = "get the file again, or use the released models"
#: keys under which training code nests the state dict
_NESTS = ("state_dict", "params_ema", "params", "model")


def read_pth(data: bytes, path: Path) -> tuple[dict[str, Tensor], bool | None]:
    """Tensors by name, and whether the file says Pro (a ``pro`` key, as the official files have it).

    Raises: WeightsError where the file is damaged, or its pickle would run code.
    """
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise WeightsError(
                f"{path} must hold only tensors, got a pickle that would run code; do not trust this file"
            ) from None
        raise WeightsError(f"{path} must be a torch file, got damaged data; {_MEND}") from None
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, OSError, TypeError):
        raise WeightsError(f"{path} must be a torch file, got damaged data; {_MEND}") from None
    if not isinstance(state, dict):
        raise WeightsError(f"{path} must hold a state dict, got {type(state).__name__}; {_MEND}")
    pro = "pro" in state
    for nest in _NESTS:
        if isinstance(state.get(nest), dict):
            state = state[nest]
            pro = pro or "pro" in state
            break
    return {str(k): v for k, v in state.items() if k != "pro"}, pro


def read_safetensors(data: bytes, path: Path) -> tuple[dict[str, Tensor], bool | None]:
    """Tensors by name, and whether the file says Pro (a ``pro`` tensor or metadata key).

    Raises: WeightsError where the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError, KeyError):
        raise WeightsError(f"{path} must be a safetensors file, got damaged data; {_MEND}") from None
    pro = "pro" in tensors or "pro" in header.get("__metadata__", {})
    return {k: v for k, v in tensors.items() if k != "pro"}, pro
