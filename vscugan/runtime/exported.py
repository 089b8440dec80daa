"""Exported graphs, kept from one process to the next: their writer needs not even be imported then."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import xxhash

from vscugan import architectures
from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Stage
from vscugan.cache import read_cached, write_cached
from vscugan.models import int8, ncnn
from vscugan.models.weights import Weights
from vscugan.runtime import graph

CHECK_BYTES = xxhash.xxh3_128().digest_size


@cache
def _code(architecture: Architecture, format: str) -> bytes:
    """A hash of the code that writes graphs: what another version of it has written must not be read."""
    stage = inspect.unwrap(getattr(architecture.stages[0].run, "func", architecture.stages[0].run))
    writer = Path(__file__).with_name(f"{format}_writer.py")
    files = {writer, *(Path(inspect.getfile(each)) for each in (graph, int8, ncnn, stage))}
    files |= set(Path(architectures.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).digest()


def _described(argument: object) -> object:
    """What an argument does to a graph; a stage's functions are in ``_code``."""
    if isinstance(argument, Stage):
        return tuple(argument.reads.items()), argument.writes
    return argument


def exported(
    format: str,
    weights: Weights,
    function: Callable[..., bytes],
    *arguments: object,
    writer: Mapping[str, object],
    **named: object,
) -> bytes:
    """What a function of ``vscugan.runtime.graph`` writes in ``format`` for these arguments, or has written before.

    ``writer``: what the format's writer takes beside the weights. Safe while other processes do the same; a damaged
    file is written anew.
    """
    described = (function.__name__, weights.architecture.name, [_described(a) for a in arguments], named, dict(writer))
    key = hashlib.sha256(_code(weights.architecture, format) + weights.tensors_hash + repr(described).encode())
    name = f"graphs/{key.hexdigest()}.{format}"
    kept = read_cached(name) or b""
    model = kept[CHECK_BYTES:]
    if model and xxhash.xxh3_128_digest(model) == kept[:CHECK_BYTES]:
        return model
    writers = importlib.import_module(f"vscugan.runtime.{format}_writer")
    model = function(writers.Writer(weights, **writer), *arguments, **named)
    write_cached(name, xxhash.xxh3_128_digest(model) + model)
    return model
