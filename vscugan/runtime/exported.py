"""Exported graphs, kept from one process to the next: ``vscugan.runtime.graph`` needs not even be imported then."""

from __future__ import annotations

import hashlib
import importlib
from functools import cache
from pathlib import Path

import xxhash

from vscugan import network
from vscugan.cache import read_cached, write_cached
from vscugan.models import int8
from vscugan.models.weights import Weights

CHECK_BYTES = xxhash.xxh3_128().digest_size


@cache
def _code() -> bytes:
    """A hash of the code that writes graphs: what another version of it has written must not be read."""
    files = (Path(__file__).with_name("graph.py"), Path(network.__file__), Path(int8.__file__))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).digest()


def _hash(weights: Weights) -> bytes:
    """Of the tensors themselves: what was changed since it was read has the file's sha256 still."""
    state = xxhash.xxh3_128()
    for name, tensor in sorted(weights.tensors.items()):
        state.update(name.encode())
        state.update(tensor.contiguous().numpy().data)
    return bytes(state.digest())


def exported(function: str, weights: Weights, *arguments: object, **named: object) -> bytes:
    """What ``vscugan.runtime.graph.<function>`` writes for these arguments, from the cache where it is there.

    Safe while other processes do the same; a damaged file is written anew.
    """
    what = repr((function, weights.scale, weights.pro, arguments, named)).encode()
    name = f"graphs/{hashlib.sha256(_code() + _hash(weights) + what).hexdigest()}.onnx"
    kept = read_cached(name) or b""
    model = kept[CHECK_BYTES:]
    if model and xxhash.xxh3_128_digest(model) == kept[:CHECK_BYTES]:
        return model
    writer = importlib.import_module("vscugan.runtime.graph")
    model = bytes(getattr(writer, function)(weights, *arguments, **named))
    write_cached(name, xxhash.xxh3_128_digest(model) + model)
    return model
