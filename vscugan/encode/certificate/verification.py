"""A result against its certificate: the file's hash, and random frames computed again.

The certificate may lie, so it proves nothing by itself: it is compared with itself, its parameters are checked as on
the command line, and what they make is compared with what it says. Where the same versions and processors compute, a
frame must have the same bits; else its sketch must be as near as two kinds of devices are. The frame in the file must
be near the computed one, and hold its detail, which no plain enlargement of the source does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vscugan.clip.upscale import read_report
from vscugan.clip.wording import first_line
from vscugan.encode.certificate import certificate
from vscugan.encode.certificate.compare import detail, plain_enlargements, psnr
from vscugan.encode.chunks.sketch import sketch, sketch_psnr
from vscugan.encode.container.streams import COVER, tracks
from vscugan.encode.encoders.stream_format import stream_format_of
from vscugan.encode.encoders.y4m import frame_hash
from vscugan.encode.job.encode_job import CERTIFICATE_SUFFIX, EncodeJob, differences
from vscugan.encode.job.json_types import printable
from vscugan.encode.source.filter_graph import FilterGraph, build
from vscugan.encode.source.source import Source, open_source
from vscugan.errors import ArgumentError, SourceError
from vscugan.files import sha256

#: dB of a computed frame to that of another device, by their sketches, for the precision that the options name.
#: Measured on real art: fp32 of three runtimes and two instruction sets 84, fp16 beside fp32 62 (cuDNN's fp32 may round
#: to as few bits), bf16 52, int8 44 (docs/int8.md); another noise level 32 to 40.
LEAST_COMPUTED_PSNR = {"auto": 55.0, "fp32": 55.0, "fp16": 55.0, "bf16": 45.0, "int8": 38.0}
#: of the computed frame's detail, in the coded one: nearer to the network's frame than to a plain enlargement.
#: Measured: three encoders at CRF 30 and the like 0.76 or more, x264 at 36 (31 dB) 0.58; no network 0.27 at most.
LEAST_DETAIL = 0.5
#: dB of the coded frame, in the plane that differs most
LEAST_PSNR = 30.0
#: the same, where the bits are the certificate's and the detail is there: coders leave out much of a film's grain
LEAST_GRAINY_PSNR = 20.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to verify, and how."""

    result: Path
    source: str | None
    script: str | None
    arguments: dict[str, str]  #: of the script
    weights: str | None
    frames: int
    seed: int | None
    least_psnr: float | None  #: None for the defaults


def _named(request: Request, content: dict[str, Any]) -> EncodeJob:
    """The job of the encode, with its files where they are now; what is run must be named by the user.

    Raises: SourceError, ArgumentError.
    """
    parameters = dict(content["parameters"])
    job = EncodeJob.from_json(parameters | {"source": "", "output": ""})
    name = content["source"]["name"]
    source = Path(request.source or request.result.parent / Path(name).name)
    if not source.is_file():
        raise SourceError(f"source must be there, got no {source.name!r} beside the result; name it by --source")
    parameters |= {"source": str(source), "output": str(request.result)}
    if job.script:
        parameters["script"] = str(_script(request, job.script, content["script_sha256"]))
        _check_arguments(request.arguments, job.script_arguments)
    elif given := [repr(Path(request.script).name)] if request.script else _pairs(request.arguments):
        what = "script" if request.script else "arg"
        raise ArgumentError(
            f"{what} must be left out, got {', '.join(given)} and a certificate of no script; leave out --{what}"
        )
    if weights := job.options.get("weights"):
        path = Path(request.weights or weights)
        if not path.is_file():
            raise ArgumentError(f"weights must be there, got no {path.name!r}; name the file by --weights")
        parameters["options"] = job.options | {"weights": str(path)}
    return EncodeJob.from_json(parameters)


def _script(request: Request, name: str, digest: str | None) -> Path:
    """The user's script, which must be the certificate's."""
    if request.script is None:
        raise ArgumentError(
            f"script must be named, since it is run, got the certificate's word for {Path(name).name!r}; look into it, "
            "then name it by --script"
        )
    path = Path(request.script)
    if not path.is_file():
        raise ArgumentError(f"script must be there, got no {path.name!r}; name it by --script")
    if sha256(path) != digest:
        raise ArgumentError(f"script must be the certificate's, got another sha256 of {path.name!r}; look into it")
    return path


def _pairs(arguments: Mapping[str, str]) -> list[str]:
    return [repr(f"{name}={value}") for name, value in arguments.items()]


def _check_arguments(given: Mapping[str, str], certified: Mapping[str, str]) -> None:
    """Raise ArgumentError where the user has not named what the script is to be given."""
    if missing := {name: value for name, value in certified.items() if name not in given}:
        raise ArgumentError(
            "arg must be named, since the script is given it, got the certificate's word for "
            f"{', '.join(_pairs(missing))}; look into it, then name it by --arg"
        )
    if others := dict(given.items() - certified.items()):
        raise ArgumentError(f"arg must be the certificate's, got {', '.join(_pairs(others))}; look into it")


@dataclass(frozen=True, kw_only=True)
class _Computed:
    """What is computed here, and how far it may be from the certificate's."""

    clip: vs.VideoNode
    plain: list[vs.VideoNode]  #: plain enlargements of the source, none with a script, whose frames may be others
    hardware: dict[str, str]
    changed: list[str]
    least_psnr: float  #: dB, where something has changed


@dataclass(frozen=True, kw_only=True)
class _Expected:
    """What the certificate says of a frame."""

    digest: str
    sketched: str
    hardware: dict[str, str]
    tile: str | None


def verify(request: Request) -> dict[str, Any]:
    """Compare a result with its certificate.

    Returns ``is_right``; ``file_is_same``; ``wrong``, what differs that must not, for people; ``changed``, what differs
    that may: versions, processors and tiles; and each of the ``frames``.
    Raises: ArgumentError, ClipError, SourceError.
    """
    content = certificate.read_certificate(request.result, CERTIFICATE_SUFFIX)
    wrong = [f"certificate: {text}" for text in certificate.contradictions(content)]
    job = _named(request, content)
    source = open_source(Path(job.source), lambda percent: None, bool(job.script))
    if source.sha256 != content["source"]["sha256"]:
        raise SourceError(
            f"source must be the certificate's, got another sha256 of {source.path.name!r}; name the right one"
        )
    coded = open_source(request.result, lambda percent: None, True)
    graph = build(job, source)
    wrong += _outer_faults(content["frames"], graph, source, coded)
    computed = _computed(job, graph, source, content)
    changed = list(computed.changed)
    wrong += [text for text in changed if text.startswith("weights ")]
    frames = [] if wrong else list(_frames(request, content, computed, coded.clip))
    for frame in frames:
        changed += [text for text in frame.pop("changed") if text not in changed]
    file_is_same = coded.sha256 == content["result"]["sha256"]
    is_right = file_is_same and not wrong and all(frame["is_right"] for frame in frames)
    return {"is_right": is_right, "file_is_same": file_is_same, "wrong": wrong, "changed": changed, "frames": frames}


def _outer_faults(frames: int, graph: FilterGraph, source: Source, coded: Source) -> Iterator[str]:
    """What of the result can't be right whatever its pictures are: how many frames, when, and further videos."""
    for whose, count in (("result", coded.clip.num_frames), ("computed clip", graph.clip.num_frames)):
        if count != frames:
            yield f"frames were {frames}, the {whose} has {count}"
    old, new = (
        sum(track.kind == "video" and not track.disposition & COVER for track in tracks(each.path))
        for each in (source, coded)
    )
    if new > old:
        yield f"video streams were {old}, the result has {new}"
    wanted, found = ([tick * line.base for tick in line.ticks] for line in (graph.timeline, coded.timeline))
    shift = found[0] - wanted[0]  # a container without negative timestamps moves all streams alike
    for n, (must, stamp) in enumerate(zip(wanted, found, strict=False)):
        if abs(stamp - must - shift) > coded.timeline.base:
            yield f"timestamp of frame {n} was {float(must + shift):.6f} s, the result has {float(stamp):.6f} s"
            return


def _computed(job: EncodeJob, graph: FilterGraph, source: Source, content: dict[str, Any]) -> _Computed:
    """The clip, and what frame 0 reports of what computes it."""
    clip = graph.clip
    with clip.get_frame(0) as first:
        stream_format_of(clip, first.props, graph.rate)  # an encoder took it
        report = read_report(first.props)
    old = _pictures(content["made_by"], content["versions"])
    return _Computed(
        clip=clip, plain=[] if job.script else plain_enlargements(source.clip, clip.width, clip.height),
        hardware=certificate.hardware(report.get("device", "")),
        changed=differences(old, _pictures(report, certificate.versions())),
        least_psnr=_least_computed_psnr(job),
    )  # fmt: skip


def _pictures(report: dict[str, str], versions: dict[str, str]) -> dict[str, Any]:
    """What decides on the bits of the pictures, by name."""
    facts = certificate.fingerprint({"made_by": report, "versions": versions})
    return {"versions": facts["versions"], **facts["made_by"]}


def _least_computed_psnr(job: EncodeJob) -> float:
    """dB by which two devices' frames may differ, by the precision that the options allow, not by the reported one."""
    if job.script:  # it may ask for any
        return min(LEAST_COMPUTED_PSNR.values())
    return LEAST_COMPUTED_PSNR[job.options.get("precision", "auto")]


def _frames(
    request: Request, content: dict[str, Any], computed: _Computed, coded: vs.VideoNode
) -> Iterator[dict[str, Any]]:
    """Random frames, computed again and compared."""
    expected = [
        _Expected(digest=digest, sketched=sketched, hardware=chunk["hardware"], tile=chunk.get("tile"))
        for chunk in content["chunks"]
        for digest, sketched in zip(chunk["frames"], chunk["sketches"], strict=True)
    ]
    chosen = random.Random(request.seed).sample(range(len(expected)), min(request.frames, len(expected)))
    for n in sorted(chosen):
        try:
            found = _compared(computed, coded, n, expected[n], request.least_psnr)
        except vs.Error as error:  # the other frames are compared all the same
            found = {"error": first_line(error), "same": False, "is_right": False, "changed": computed.changed}
        yield {"frame": n} | found


def _compared(
    computed: _Computed, coded: vs.VideoNode, n: int, expected: _Expected, least_psnr: float | None
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
