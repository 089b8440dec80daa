"""Exported graphs, kept from one process to the next: ``vscugan.runtime.graph`` needs not even be imported then."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from functools import cache
from pathlib import Path

import xxhash

from vscugan import architectures
from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Stage
from vscugan.cache import read_cached, write_cached
from vscugan.models import int8
from vscugan.models.weights import Weights

CHECK_BYTES = xxhash.xxh3_128().digest_size


@cache
def _code(architecture: Architecture) -> bytes:
    """A hash of the code that writes graphs: what another version of it has written must not be read."""
    stage = inspect.unwrap(getattr(architecture.stages[0].run, "func", architecture.stages[0].run))
    files = {Path(__file__).with_name("graph.py"), Path(int8.__file__), Path(inspect.getfile(stage))}
    files |= set(Path(architectures.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).digest()


def _described(argument: object) -> object:
    """What an argument does to a graph; a stage's functions are in ``_code``."""
    if isinstance(argument, Stage):
        return tuple(argument.reads.items()), argument.writes
    return argument


def exported(function: str, weights: Weights, *arguments: object, **named: object) -> bytes:
    """What ``vscugan.runtime.graph.<function>`` writes for these arguments, from the cache where it is there.

    Safe while other processes do the same; a damaged file is written anew.
    """
    what = repr((function, weights.architecture.name, [_described(a) for a in arguments], named)).encode()
    key = hashlib.sha256(_code(weights.architecture) + weights.tensors_hash + what).hexdigest()
    name = f"graphs/{key}.onnx"
    kept = read_cached(name) or b""
    model = kept[CHECK_BYTES:]
    if model and xxhash.xxh3_128_digest(model) == kept[:CHECK_BYTES]:
        return model
    writer = importlib.import_module("vscugan.runtime.graph")
    model = bytes(getattr(writer, function)(weights, *arguments, **named))
    write_cached(name, xxhash.xxh3_128_digest(model) + model)
    return model
