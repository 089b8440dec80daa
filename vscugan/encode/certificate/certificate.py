"""The certificate beside a result: what it was made of, by what, and how to check it."""

from __future__ import annotations

import json
import platform
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import vapoursynth as vs

from vscugan import __version__
from vscugan.encode.chunks.sketch import DIGITS
from vscugan.encode.encoders.command_line import encoder_options
from vscugan.encode.encoders.programs import Program, find_ffmpeg
from vscugan.encode.encoders.y4m import HASH_BYTES
from vscugan.encode.job.journal import ADDED_LATER, RESULT_FIELDS
from vscugan.encode.job.json_types import misfit, printable
from vscugan.engine.device_choice import gpus
from vscugan.errors import ArgumentError
from vscugan.install import version
from vscugan.runtime import BACKENDS
from vscugan.runtime.backends import backend_row, backend_rows

#: the key in the file is ``form``
SCHEMA_VERSION = 2
#: facts of ``describe`` that a run which goes on may have otherwise: they change the last bits alone
LAST_BIT_FACTS = ("tile",)
#: packages that take part, beside those of the runtimes
PACKAGES = ("vapoursynth-bestsource", "numpy", "av", "imageio-ffmpeg", "spandrel")
#: packages that make the pictures whatever the runtime is
PICTURE_PACKAGES = ("vscugan", "vapoursynth", "vapoursynth-bestsource")
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


def versions() -> dict[str, str]:
    """The versions of everything that takes part in the pictures."""
    found = {"vscugan": __version__, "python": platform.python_version(),
             "vapoursynth": f"R{vs.core.core_version.release_major}"}  # fmt: skip
    distributions = {name: (name,) for name in PACKAGES} | {row.package: row.distributions for row in backend_rows()}
    for name, candidates in distributions.items():
        installed = next((number for each in candidates if (number := version(each))), None)
        if installed is not None:
            found[name] = installed
    return found


def made_by_fingerprint(made_by: Mapping[str, str]) -> dict[str, str]:
    """The facts of ``describe``, without those that change only the last bits."""
    return {name: value for name, value in made_by.items() if name not in LAST_BIT_FACTS}


def fingerprint(facts: Mapping[str, Any], other_versions: Mapping[str, str]) -> dict[str, Any]:
    """The facts that decide on the pictures: of the packages only those that compute them.

    ``other_versions``: those that these are compared with. A runtime's version counts only where both sides have it:
    what was written before may lack it, as that of onnxruntime-gpu.
    """
    runtimes = facts["made_by"].get("runtime", "").split(", ")
    rows = [backend_row(name) for name in runtimes if name in BACKENDS]
    packages = {package for row in rows for package in (row.package, *row.plugin_of)}
    names = {*PICTURE_PACKAGES, *(packages & other_versions.keys())}
    return {
        **facts, "made_by": made_by_fingerprint(facts["made_by"]),
        "versions": {name: value for name, value in facts["versions"].items() if name in names},
    }  # fmt: skip


def hardware(devices: str) -> dict[str, str]:
    """The kinds of processors that compute, whose last bits may be other ones; ``devices`` as ``describe`` reports."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    found = {"cpu": f"{model}, {torch.backends.cpu.get_cpu_capability()}"}
    for name in devices.split(", "):
        if name.startswith("cuda") and torch.cuda.is_available():
            found[name] = torch.cuda.get_device_name(torch.device(name))
        elif name.startswith("gpu:"):
            adapter = gpus()[int(name.removeprefix("gpu:"))].adapter
            found[name] = f"{adapter.name}, {adapter.driver}"
    return found


def program_facts(program: Program, arguments: Sequence[str]) -> dict[str, str]:
    """The encoder as it is named in journal and certificate, with its options beside the colour."""
    inside = "ffmpeg" if program.is_ffmpeg else "itself"
    options = shlex.join(encoder_options(program, arguments))
    return {"name": program.name, "version": program.version, "inside": inside, "settings": options}


def muxer_name() -> str:
    """The file name of the ffmpeg that writes the container; its version stands in it or in ``versions``."""
    return Path(find_ffmpeg()).name


def read_certificate(result: Path, suffix: str) -> dict[str, Any]:
    """The certificate of a result.

    Raises: ArgumentError.
    """
    path = Path(str(result) + suffix)
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
