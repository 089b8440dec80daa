"""A result against its certificate: the file's hash, and random frames computed again."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import vapoursynth as vs

from vscugan.encode.certificate import bound, read_certificate, versions
from vscugan.encode.graph import build
from vscugan.encode.plan import CERTIFICATE_SUFFIX, Plan, differences
from vscugan.encode.source import open_source
from vscugan.encode.y4m import frame_hash
from vscugan.errors import ArgumentError, SourceError
from vscugan.files import sha256

#: of bit-equal frames, whose error is 0
LARGEST_PSNR = 120.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What to verify, and how."""

    result: Path
    source: str | None
    script: str | None
    frames: int
    seed: int | None
    least_psnr: float


def _psnr(a: vs.VideoFrame, b: vs.VideoFrame) -> float:
    """dB of the first plane."""
    if (a.width, a.height, a.format.id) != (b.width, b.height, b.format.id):
        raise ArgumentError(
            f"result must be of {a.width}x{a.height} px {a.format.name}, got {b.width}x{b.height} px {b.format.name}; "
            "name the file that the certificate is of"
        )
    error = np.mean((np.asarray(a[0]).astype(np.float64) - np.asarray(b[0])) ** 2)
    most = (1 << a.format.bits_per_sample) - 1
    return LARGEST_PSNR if error == 0 else min(LARGEST_PSNR, float(10 * np.log10(most**2 / error)))


def _plan(asked: Asked, certificate: dict[str, Any]) -> Plan:
    """The plan of the encode, with its files where they are now.

    Raises: SourceError, ArgumentError.
    """
    parameters = dict(certificate["parameters"])
    source = Path(asked.source or asked.result.parent / certificate["source"]["name"])
    if not source.is_file():
        raise SourceError(f"source must be there, got no {source.name!r} beside the result; name it by --source")
    if sha256(source) != certificate["source"]["sha256"]:
        raise SourceError(
            f"source must be the certificate's, got another sha256 of {source.name!r}; name the right one"
        )
    if name := parameters["script"]:
        script = Path(asked.script or asked.result.parent / name)
        if not script.is_file():
            raise ArgumentError(f"script must be there, got no {script.name!r} beside the result; name it by --script")
        if hashlib.sha256(script.read_bytes()).hexdigest() != certificate["script_sha256"]:
            raise ArgumentError(f"script must be the certificate's, got another sha256 of {script.name!r}")
        parameters["script"] = str(script)
    return Plan.from_json(parameters | {"source": str(source), "output": str(asked.result)})


def verify(asked: Asked) -> dict[str, Any]:
    """Compare a result with its certificate.

    A frame is right when it comes out with the bits that the encoder was given, and the coded one is near it. Where
    other versions or another device compute, the bits may differ, and the nearness alone decides.
    Raises: ArgumentError, SourceError.
    """
    certificate = read_certificate(asked.result, CERTIFICATE_SUFFIX)
    plan = _plan(asked, certificate)
    file_is_same = sha256(asked.result) == certificate["result"]["sha256"]
    source = open_source(Path(plan.source), lambda percent: None, bool(plan.script))
    graph = build(plan, source)
    made = open_source(asked.result, lambda percent: None, True)
    if made.clip.num_frames != certificate["frames"]:
        raise ArgumentError(
            f"result must have {certificate['frames']} frames, got {made.clip.num_frames}; encode it again"
        )
    old = {"versions": certificate["versions"], **bound(certificate["made_by"])}
    changed = differences(old, {"versions": versions(), **bound(graph.made_by)})
    hashes = [digest for chunk in certificate["chunks"] for digest in chunk["frames"]]
    chosen = random.Random(asked.seed).sample(range(len(hashes)), min(asked.frames, len(hashes)))
    frames = []
    for n in sorted(chosen):
        with graph.clip.get_frame(n) as again, made.clip.get_frame(n) as coded:
            frames.append({"frame": n, "same": frame_hash(again) == hashes[n], "psnr": round(_psnr(again, coded), 2)})
    near = all(frame["psnr"] >= asked.least_psnr for frame in frames)
    is_right = file_is_same and near and (bool(changed) or all(frame["same"] for frame in frames))
    return {"is_right": is_right, "file_is_same": file_is_same, "changed": changed, "frames": frames}
