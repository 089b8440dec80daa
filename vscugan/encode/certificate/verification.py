"""A result against its certificate: the file's hash, and random frames computed again.

The certificate may lie, so it proves nothing by itself: it is compared with itself, its parameters are checked as on
the command line, and what they make is compared with what it says. Where the same versions and processors compute, a
frame must have the same bits; else its sketch must be as near as two kinds of devices are. The frame in the file must
be near the computed one, and hold its detail, which no plain enlargement of the source does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vscugan.clip.error_text import first_line
from vscugan.encode.certificate.certificate_file import contradictions, read_certificate
from vscugan.encode.certificate.certified_job import Request, certified_job
from vscugan.encode.certificate.frame_check import ComputedClip, ExpectedFrame, compare_frame, compute_clip
from vscugan.encode.container.streams import COVER, tracks
from vscugan.encode.source.filter_graph import FilterGraph, build
from vscugan.encode.source.source import Source, open_source, taken
from vscugan.engine.standby import wait_for_engines
from vscugan.errors import SourceError


def verify(request: Request) -> dict[str, Any]:
    """Compare a result with its certificate.

    Returns ``is_right``; ``file_is_same``; ``wrong``, what differs that must not, for people; ``changed``, what differs
    that may: versions, processors and tiles; and each of the ``frames``.
    Raises: ArgumentError, ClipError, SourceError.
    """
    content = read_certificate(request.result)
    wrong = [f"certificate: {text}" for text in contradictions(content)]
    job = certified_job(request, content)
    source = taken(open_source(Path(job.source), lambda percent: None, bool(job.script)), job)
    if source.sha256 != content["source"]["sha256"]:
        raise SourceError(
            f"source must be the certificate's, got another sha256 of {source.path.name!r}; name the right one"
        )
    coded = open_source(request.result, lambda percent: None, True)
    wait_for_engines()  # a run that goes on, and a check, must have the same bits
    graph = build(job, source)
    wrong += _outer_faults(content["frames"], graph, source, coded)
    computed = compute_clip(job, graph, source, content)
    changed = list(computed.changed)
    wrong += [text for text in changed if text.startswith(("weights ", "noise "))]
    frames = [] if wrong else list(_frames(request, content, computed, coded.clip))
    for frame in frames:
        changed += [text for text in frame.pop("changed") if text not in changed]
    file_is_same = coded.sha256 == content["result"]["sha256"]
    is_right = file_is_same and not wrong and all(frame["is_right"] for frame in frames)
    return {"is_right": is_right, "file_is_same": file_is_same, "wrong": wrong, "changed": changed, "frames": frames}


def _outer_faults(frames: int, graph: FilterGraph, source: Source, coded: Source) -> Iterator[str]:
    """What of the result can't be right whatever its frames show: how many there are, when, and further videos."""
    for whose, count in (("result", coded.clip.num_frames), ("computed clip", graph.clip.num_frames)):
        if count != frames:
            yield f"frames were {frames}, the {whose} has {count}"
    old, new = (
        sum(track.kind == "video" and not track.disposition & COVER for track in tracks(each.path))
        for each in (source, coded)
    )
    if new > old:
        yield f"video streams were {old}, the result has {new}"
    expected, found = ([tick * line.base for tick in line.ticks] for line in (graph.timeline, coded.timeline))
    shift = found[0] - expected[0]  # a container without negative timestamps moves all streams alike
    for n, (must, stamp) in enumerate(zip(expected, found, strict=False)):
        if abs(stamp - must - shift) > coded.timeline.base:
            yield f"timestamp of frame {n} was {float(must + shift):.6f} s, the result has {float(stamp):.6f} s"
            return


def _frames(
    request: Request, content: dict[str, Any], computed: ComputedClip, coded: vs.VideoNode
) -> Iterator[dict[str, Any]]:
    """Random frames, computed again and compared."""
    expected = [
        ExpectedFrame(digest=digest, sketched=sketched, hardware=chunk["hardware"], tile=chunk.get("tile"))
        for chunk in content["chunks"]
        for digest, sketched in zip(chunk["frames"], chunk["sketches"], strict=True)
    ]
    chosen = random.Random(request.seed).sample(range(len(expected)), min(request.frames, len(expected)))
    for n in sorted(chosen):
        try:
            found = compare_frame(computed, coded, n, expected[n], request.least_psnr)
        except vs.Error as error:  # the other frames are compared all the same
            found = {"error": first_line(error), "same": False, "is_right": False, "changed": computed.changed}
        yield {"frame": n} | found
