"""Networks of users' own: small ones of published architectures for spandrel, and ONNX files by hand."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import Tensor

from vscugan.models.weights import Weights, load_file


def compact(*, features: int = 8, convolutions: int = 2, scale: int = 2, seed: int = 1) -> dict[str, Tensor]:
    """SRVGGNetCompact of any width: published layer names, made-up weights that keep the picture's values near 0..1."""
    chance = torch.Generator().manual_seed(seed)
    channels = [3, *[features] * (convolutions + 1), 3 * scale**2]
    state: dict[str, Tensor] = {}
    for k, (inputs, outputs) in enumerate(pairwise(channels)):
        bound = 0.5 / (inputs * 9) ** 0.5
        state[f"body.{2 * k}.weight"] = (torch.rand(outputs, inputs, 3, 3, generator=chance) * 2 - 1) * bound
        state[f"body.{2 * k}.bias"] = torch.zeros(outputs)
        if k <= convolutions:
            state[f"body.{2 * k + 1}.weight"] = torch.full((outputs,), 0.2)
    return state


def made_by_spandrel(kind: str, **options: Any) -> dict[str, Tensor]:
    """The state dict of one of spandrel's architectures, with its own first weights, the same each time.

    ``options``: of spandrel's class, for others than ``SMALL``. What follows from attention and from means of the frame
    counts next to nothing before training: it is made to count.
    """
    module = importlib.import_module(f"spandrel.architectures.{kind}")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = getattr(module, kind)(**(options or SMALL[kind]))
    state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    for name, tensor in state.items():
        if ("attn." in name or "conv_du." in name) and name.endswith(("weight", "table")):
            tensor *= 10
    return state


#: Small ones: options of spandrel's classes.
SMALL: Mapping[str, Mapping[str, Any]] = {
    "ESRGAN": {"num_filters": 8, "num_blocks": 2, "scale": 4},
    "SPAN": {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 8, "upscale": 2},
    "SwinIR": {
        "img_size": 16, "window_size": 8, "depths": [1, 1], "embed_dim": 8, "num_heads": [2, 2], "upscale": 2,
        "upsampler": "pixelshuffledirect",
    },
    "SAFMN": {"dim": 8, "n_blocks": 1, "upscaling_factor": 2},
    "ATD": {
        "depths": (2,), "num_heads": (2,), "embed_dim": 8, "window_size": 16, "category_size": 32, "num_tokens": 8,
        "reducted_dim": 4, "upscale": 2, "upsampler": "pixelshuffledirect",
    },
    "RCAN": {"n_resgroups": 1, "n_resblocks": 1, "n_feats": 8, "reduction": 4, "scale": 2},
}  # fmt: skip


def saved(path: Path, state: Mapping[str, Tensor]) -> Path:
    """A file of these tensors, in the format that its name ends with."""
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    else:
        torch.save({"params_ema": dict(state)}, path)
    return path


def loaded(path: Path, state: Mapping[str, Tensor]) -> Weights:
    return load_file(str(saved(path, state)))


def onnx_network(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray] = {},
    *,
    kind: int = TensorProto.FLOAT,
    size: Sequence[int | str] = ("h", "w"),
    channels: int = 3,
    opset: int = 17,
) -> bytes:
    """A network from ``x`` to ``y``."""
    values = [helper.make_tensor_value_info(n, kind, [1, c, *size]) for n, c in (("x", channels), ("y", 3))]
    values[1].type.tensor_type.ClearField("shape")
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "user", values[:1], values[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def convolutions(*kernels: int, scale: int, dtype: type = np.float32, pads: int = 0) -> dict[str, Any]:
    """Nodes and constants of convolutions and a transposed one at the end, as waifu2x's upconv 7 has them."""
    chance = np.random.default_rng(5)
    nodes, name = list[onnx.NodeProto](), "x"
    constants: dict[str, np.ndarray] = {}
    for k, kernel in enumerate(kernels):
        constants[f"w{k}"] = (chance.standard_normal((3, 3, kernel, kernel)) / (3 * kernel)).astype(dtype)
        nodes.append(helper.make_node("Conv", [name, f"w{k}"], [f"c{k}"], pads=[pads] * 4))
        name = f"c{k}"
    constants["up"] = (np.ones((3, 3, 2 * scale, 2 * scale)) / 12).astype(dtype)
    nodes.append(helper.make_node("ConvTranspose", [name, "up"], ["y"], strides=[scale] * 2, pads=[3 * scale // 2] * 4))
    return {"nodes": nodes, "constants": constants}
