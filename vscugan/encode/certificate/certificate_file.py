"""The certificate beside a result: what it was made of, by what, and how to check it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vscugan.encode.chunks.sketch import DIGITS
from vscugan.encode.encoders.y4m import HASH_BYTES
from vscugan.encode.job.encode_job import CERTIFICATE_SUFFIX, EncodeJob
from vscugan.encode.job.journal import ADDED_LATER, RESULT_FIELDS
from vscugan.encode.job.json_types import misfit, printable
from vscugan.errors import ArgumentError
from vscugan.files import sha256

#: the key in the file is ``form``
SCHEMA_VERSION = 2
#: what is read of a certificate, and of each chunk in it
FIELDS: dict[str, Any] = {
    "frames": int, "source": {"name": str, "sha256": str}, "script_sha256": str | None,
    "parameters": dict[str, Any], "versions": dict[str, str], "made_by": dict[str, str],
    "chunks": list[dict[str, Any]], "result": RESULT_FIELDS,
}  # fmt: skip
CHUNK_FIELDS: dict[str, Any] = {
    "start": int, "stop": int, "frames": list[str], "sketches": list[str], "hardware": dict[str, str],
    "tile": str | None,
}  # fmt: skip
_HASH = re.compile(f"[0-9a-f]{{{2 * HASH_BYTES}}}")
_SKETCH = re.compile(f"[0-9a-f]{{{DIGITS}}}")


def read_certificate(result: Path) -> dict[str, Any]:
    """The certificate of a result.

    Raises: ArgumentError.
    """
    path = Path(str(result) + CERTIFICATE_SUFFIX)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArgumentError(
            f"certificate must be beside the result, got {path.name!r}: {getattr(error, 'strerror', None) or error}; "
            "name a file that vscugan encode made"
        ) from error
    found = content.get("form") if isinstance(content, dict) else type(content).__name__
    if not isinstance(content, dict) or found != SCHEMA_VERSION:
        raise ArgumentError(
            f"certificate must be of form {SCHEMA_VERSION}, got {printable(found)}; use the vscugan that wrote it"
        )
    if fault := _fault(content):
        raise ArgumentError(
            f"certificate must be as vscugan wrote it, got {fault} in {path.name!r}; name a file that vscugan encode "
            "made"
        )
    return content


def _fault(content: Mapping[str, Any]) -> str | None:
    """For people: what can't be read."""
    if fault := misfit(content, FIELDS):
        return fault
    faults = ((n, misfit(ADDED_LATER | chunk, CHUNK_FIELDS)) for n, chunk in enumerate(content["chunks"]))
    return next((f"chunk {n}: {fault}" for n, fault in faults if fault), None)


def contradictions(certificate: Mapping[str, Any]) -> Iterator[str]:
    """For people: where a certificate contradicts itself, as by frames without a hash, or the same hash twice."""
    frames = certificate["frames"]
    if certificate["result"]["frames"] != frames:
        yield f"it names {frames} frames, and {certificate['result']['frames']} in the result"
    stop = 0
    sketches: dict[str, str] = {}
    for chunk in certificate["chunks"]:
        if chunk["start"] != stop or chunk["stop"] <= stop:
            yield f"its chunks do not join at frame {stop}"
        stop = chunk["stop"]
        counts = {len(chunk["frames"]), len(chunk["sketches"]), stop - chunk["start"]}
        values = [*map(_HASH.fullmatch, chunk["frames"]), *map(_SKETCH.fullmatch, chunk["sketches"])]
        if len(counts) > 1 or not all(values):
            yield f"hashes are missing from frame {chunk['start']} on"
            return
        for n, (digest, sketch) in enumerate(zip(chunk["frames"], chunk["sketches"], strict=True), chunk["start"]):
            if sketches.setdefault(digest, sketch) != sketch:
                yield f"frame {n} has the hash of another frame, and not its sketch"
                return
    if stop != frames:
        yield f"its chunks hold {stop} of {frames} frames"


def is_certified(job: EncodeJob) -> bool:
    """Whether the output is there, and its certificate names the same source, script, weights and options."""
    output, source = Path(job.output), Path(job.source)
    try:
        content = read_certificate(output)
        script = Path(job.script) if job.script else None
        parameters = job.fingerprint() | {"script": script.name if script else None}
        return bool(
            output.stat().st_size == content["result"]["bytes"]
            and content["parameters"] == parameters
            and content["script_sha256"] == (sha256(script) if script else None)
            and content["source"]["sha256"] == sha256(source)
            and _are_weights(job.options.get("weights"), content["made_by"])
        )
    except (ArgumentError, OSError):
        return False


def _are_weights(name: str | None, made_by: Mapping[str, str]) -> bool:
    """Whether the user's own weights, or none, are those that have made the pictures."""
    if name is None or "weights" not in made_by:
        return True
    path, found = Path(name), made_by["weights"].split(", ")
    if path.suffix not in (".param", ".bin"):
        return sha256(path) in found
    both = hashlib.sha256(path.with_suffix(".param").read_bytes() + path.with_suffix(".bin").read_bytes())
    return both.hexdigest() in found or sha256(path.with_suffix(".bin")) in found  # which are released ones
