"""Frames computed again, and compared with what a certificate says of them and with the coded ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import vapoursynth as vs

from vscugan.clip.upscale import read_report
from vscugan.encode.certificate import certificate
from vscugan.encode.certificate.compare import detail, plain_enlargements, psnr
from vscugan.encode.chunks.sketch import sketch, sketch_psnr
from vscugan.encode.encoders.stream_format import stream_format_of
from vscugan.encode.encoders.y4m import frame_hash
from vscugan.encode.job.encode_job import EncodeJob, differences
from vscugan.encode.job.json_types import printable
from vscugan.encode.source.filter_graph import FilterGraph
from vscugan.encode.source.source import Source

#: dB of a computed frame to that of another device, by their sketches, for the precision that the options name.
#: Measured on real art: fp32 of three runtimes and two instruction sets 84, fp16 beside fp32 62 (cuDNN's fp32 may round
#: to as few bits), bf16 52, int8 44 (docs/figures/int8.md); another noise level 32 to 40.
LEAST_COMPUTED_PSNR = {"auto": 55.0, "fp32": 55.0, "fp16": 55.0, "bf16": 45.0, "int8": 38.0}
#: of the computed frame's detail, in the coded one: nearer to the network's frame than to a plain enlargement.
#: Measured: three encoders at CRF 30 and the like 0.76 or more, x264 at 36 (31 dB) 0.58; no network 0.27 at most.
LEAST_DETAIL = 0.5
#: dB of the coded frame, in the plane that differs most
LEAST_PSNR = 30.0
#: the same, where the bits are the certificate's and the detail is there: coders leave out much of a film's grain
LEAST_GRAINY_PSNR = 20.0


@dataclass(frozen=True, kw_only=True)
class ComputedClip:
    """What is computed here, and how far it may be from the certificate's."""

    clip: vs.VideoNode
    plain: list[vs.VideoNode]  #: plain enlargements of the source, none with a script, whose frames may be others
    hardware: dict[str, str]
    changed: list[str]
    least_psnr: float  #: dB, where something has changed


@dataclass(frozen=True, kw_only=True)
class ExpectedFrame:
    """What the certificate says of a frame."""

    digest: str
    sketched: str
    hardware: dict[str, str]
    tile: str | None


def compute_clip(job: EncodeJob, graph: FilterGraph, source: Source, content: dict[str, Any]) -> ComputedClip:
    """The clip, and what frame 0 reports of what computes it."""
    clip = graph.clip
    with clip.get_frame(0) as first:
        stream_format_of(clip, first.props, graph.rate)  # an encoder took it
        report = read_report(first.props)
    before, now = content["versions"], certificate.versions()
    return ComputedClip(
        clip=clip, plain=[] if job.script else plain_enlargements(source.clip, clip.width, clip.height),
        hardware=certificate.hardware(report.get("device", "")),
        changed=differences(_frame_facts(content["made_by"], before, now), _frame_facts(report, now, before)),
        least_psnr=_least_computed_psnr(job),
    )  # fmt: skip


def _frame_facts(report: dict[str, str], versions: dict[str, str], other_versions: dict[str, str]) -> dict[str, Any]:
    """What decides on the bits of the frames, by name, to be compared with frames of other versions."""
    facts = certificate.fingerprint({"made_by": report, "versions": versions}, other_versions)
    return {"versions": facts["versions"], **facts["made_by"]}


def _least_computed_psnr(job: EncodeJob) -> float:
    """dB by which two devices' frames may differ, by the precision that the options allow, not by the reported one."""
    if job.script:  # it may ask for any
        return min(LEAST_COMPUTED_PSNR.values())
    return LEAST_COMPUTED_PSNR[job.options.get("precision", "auto")]


def compare_frame(
    computed: ComputedClip, coded: vs.VideoNode, n: int, expected: ExpectedFrame, least_psnr: float | None
) -> dict[str, Any]:
    """Frame ``n`` computed again, against what the certificate says of it, and against the coded one."""
    with computed.clip.get_frame(n) as again, coded.get_frame(n) as frame:
        is_same, near = frame_hash(again) == expected.digest, sketch_psnr(sketch(again), expected.sketched)
        share = detail(again, frame, [node.get_frame(n) for node in computed.plain]) if computed.plain else None
        distance, tile = psnr(again, frame), read_report(again.props).get("tile")
    changed = [*computed.changed, *differences({"processor": expected.hardware}, {"processor": computed.hardware})]
    if tile != expected.tile:
        changed.append(f"tile was {printable(expected.tile or 'unknown')}, now {tile or 'unknown'}")
    elif tile is None and not is_same:
        changed.append("tile is unknown")
    if least_psnr is None:
        least_psnr = LEAST_GRAINY_PSNR if is_same and share is not None else LEAST_PSNR
    faults = {
        "bits": not is_same and not (changed and near >= computed.least_psnr),
        "psnr": distance < least_psnr,
        "detail": share is not None and share < LEAST_DETAIL,
    }  # fmt: skip
    return {
        "same": is_same, "computed_psnr": round(near, 1), "psnr": round(distance, 2), "least_psnr": least_psnr,
        "detail": None if share is None else round(share, 3), "is_right": not any(faults.values()),
        "faults": [name for name, is_so in faults.items() if is_so], "changed": changed,
    }  # fmt: skip
