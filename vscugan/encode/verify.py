"""A result against its certificate: the file's hash, and random frames computed again.

The certificate may lie, so it proves nothing by itself: it is compared with itself, its parameters are checked as on
the command line, and what they make is compared with what it tells. Where the same versions and processors compute, a
frame must have the same bits; else its sketch must be as near as two kinds of devices are. The frame in the file must
be near the computed one, and hold its detail, which no plain enlargement of the source does.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vscugan.clip.upscale import read_report
from vscugan.clip.wording import first_line
from vscugan.encode import certificate
from vscugan.encode.compare import detail, plain_enlargements, psnr
from vscugan.encode.graph import build
from vscugan.encode.plan import CERTIFICATE_SUFFIX, Plan, differences
from vscugan.encode.sketch import sketch, sketch_psnr
from vscugan.encode.source import open_source
from vscugan.encode.y4m import frame_hash
from vscugan.errors import ArgumentError, SourceError
from vscugan.files import sha256

#: dB of a computed frame to that of another device, as sketches tell, by the precision asked for. Measured on real art:
#: fp32 of three runtimes and two instruction sets 84, fp16 beside fp32 62 (cuDNN's fp32 may round to as few bits), bf16
#: 52, int8 44 (docs/int8.md); another noise level 32 to 40.
LEAST_COMPUTED_PSNR = {"auto": 55.0, "fp32": 55.0, "fp16": 55.0, "bf16": 45.0, "int8": 38.0}
#: of the computed frame's detail, in the coded one: nearer to the network's frame than to a plain enlargement.
#: Measured: three encoders at CRF 30 and the like 0.76 or more, x264 at 36 (31 dB) 0.58; no network 0.27 at most.
LEAST_DETAIL = 0.5


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to verify, and how."""

    result: Path
    source: str | None
    script: str | None
    weights: str | None
    frames: int
    seed: int | None
    least_psnr: float


def _named(request: Request, content: dict[str, Any]) -> Plan:
    """The plan of the encode, with its files where they are now; what is run must be named by the user.

    Raises: SourceError, ArgumentError.
    """
    parameters = dict(content["parameters"])
    plan = Plan.from_json(parameters | {"source": "", "output": ""})
    name = content["source"]["name"]
    source = Path(request.source or request.result.parent / Path(name).name)
    if not source.is_file():
        raise SourceError(f"source must be there, got no {source.name!r} beside the result; name it by --source")
    if sha256(source) != content["source"]["sha256"]:
        raise SourceError(
            f"source must be the certificate's, got another sha256 of {source.name!r}; name the right one"
        )
    parameters |= {"source": str(source), "output": str(request.result)}
    if plan.script:
        parameters["script"] = str(_script(request, plan.script, content["script_sha256"]))
    if weights := plan.options.get("weights"):
        path = Path(request.weights or weights)
        if not path.is_file():
            raise ArgumentError(f"weights must be there, got no {path.name!r}; name the file by --weights")
        parameters["options"] = plan.options | {"weights": str(path)}
    return Plan.from_json(parameters)


def _script(request: Request, name: str, digest: str | None) -> Path:
    """The user's script, which is what the certificate tells."""
    if request.script is None:
        raise ArgumentError(
            f"script must be named, since it is run, got the certificate's word for {Path(name).name!r}; look into it, "
            "then name it by --script"
        )
    path = Path(request.script)
    if not path.is_file():
        raise ArgumentError(f"script must be there, got no {path.name!r}; name it by --script")
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise ArgumentError(f"script must be the certificate's, got another sha256 of {path.name!r}; look into it")
    return path


@dataclass(frozen=True, kw_only=True)
class _Computed:
    """What is computed here, and how far it may be from what the certificate tells."""

    clip: vs.VideoNode
    plain: list[vs.VideoNode]  #: plain enlargements of the source, none where a script's frames are others
    hardware: dict[str, str]
    changed: list[str]
    least_psnr: float  #: dB, where something has changed


def verify(request: Request) -> dict[str, Any]:
    """Compare a result with its certificate.

    Returns ``is_right``; ``file_is_same``; ``wrong``, what differs that must not, in words; ``changed``, what differs
    that may: versions and processors; and each of the ``frames``.
    Raises: ArgumentError, SourceError.
    """
    content = certificate.read_certificate(request.result, CERTIFICATE_SUFFIX)
    wrong = [f"certificate: {text}" for text in certificate.contradictions(content)]
    plan = _named(request, content)
    file_is_same = sha256(request.result) == content["result"]["sha256"]
    source = open_source(Path(plan.source), lambda percent: None, bool(plan.script))
    clip = build(plan, source).clip
    coded = open_source(request.result, lambda percent: None, True).clip
    for whose, count in (("result", coded.num_frames), ("computed clip", clip.num_frames)):
        if count != content["frames"]:
            wrong.append(f"frames were {content['frames']}, the {whose} has {count}")
    with clip.get_frame(0) as first:
        report = read_report(first.props)
    old = _pictures(content["made_by"], content["versions"])
    changed = differences(old, _pictures(report, certificate.versions()))
    wrong += [text for text in changed if text.startswith("weights ")]
    has_plain = source.clip.num_frames == clip.num_frames
    computed = _Computed(
        clip=clip, plain=plain_enlargements(source.clip, clip.width, clip.height) if has_plain else [],
        hardware=certificate.hardware(report.get("device", "")), changed=changed,
        least_psnr=_least_computed_psnr(plan),
    )  # fmt: skip
    frames = [] if wrong else list(_frames(request, content, computed, coded))
    for frame in frames:
        changed += [text for text in frame.pop("changed") if text not in changed]
    is_right = file_is_same and not wrong and all(frame["is_right"] for frame in frames)
    return {"is_right": is_right, "file_is_same": file_is_same, "wrong": wrong, "changed": changed, "frames": frames}


def _pictures(report: dict[str, str], versions: dict[str, str]) -> dict[str, Any]:
    """What decides on the bits of the pictures, by name."""
    facts = certificate.binding({"made_by": report, "versions": versions})
    return {"versions": facts["versions"], **facts["made_by"]}


def _least_computed_psnr(plan: Plan) -> float:
    """dB by which two devices' frames may differ, by the precision that the options allow, not by what is told."""
    if plan.script:  # it may ask for any
        return min(LEAST_COMPUTED_PSNR.values())
    return LEAST_COMPUTED_PSNR[plan.options.get("precision", "auto")]


def _frames(
    request: Request, content: dict[str, Any], computed: _Computed, coded: vs.VideoNode
) -> Iterator[dict[str, Any]]:
    """Random frames, computed again and compared."""
    expected = [
        (digest, sketched, chunk["hardware"])
        for chunk in content["chunks"]
        for digest, sketched in zip(chunk["frames"], chunk["sketches"], strict=True)
    ]
    chosen = random.Random(request.seed).sample(range(len(expected)), min(request.frames, len(expected)))
    for n in sorted(chosen):
        digest, sketched, hardware = expected[n]
        changed = [*computed.changed, *differences({"processor": hardware}, {"processor": computed.hardware})]
        try:
            found = _compared(computed, coded, n, digest, sketched, may_differ=bool(changed))
            has_detail = found["detail"] is None or found["detail"] >= LEAST_DETAIL
            found["is_right"] = found.pop("is_computed") and found["psnr"] >= request.least_psnr and has_detail
        except vs.Error as error:  # the other frames are compared all the same
            found = {"error": first_line(error), "same": False, "is_right": False}
        yield {"frame": n, "changed": changed} | found


def _compared(
    computed: _Computed, coded: vs.VideoNode, n: int, digest: str, sketched: str, *, may_differ: bool
) -> dict[str, Any]:
    """Frame ``n`` computed again, against its hash and sketch, and against the coded one."""
    with computed.clip.get_frame(n) as again, coded.get_frame(n) as frame:
        is_same, near = frame_hash(again) == digest, sketch_psnr(sketch(again), sketched)
        share = detail(again, frame, [node.get_frame(n) for node in computed.plain]) if computed.plain else None
        return {
            "same": is_same, "computed_psnr": round(near, 1), "psnr": round(psnr(again, frame), 2),
            "detail": None if share is None else round(share, 3),
            "is_computed": is_same or (may_differ and near >= computed.least_psnr),
        }  # fmt: skip
