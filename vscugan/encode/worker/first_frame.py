"""The first frame that a run computes, and what frame 0 says of the whole clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import vapoursynth as vs

from vscugan.clip.upscale import read_report
from vscugan.encode.certificate.certificate import made_by_fingerprint
from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.encoders.stream_format import StreamFormat, stream_format_of
from vscugan.encode.job.journal import Journal
from vscugan.encode.source.filter_graph import FilterGraph
from vscugan.encode.worker.run_facts import as_in_journal
from vscugan.errors import FrameError


@dataclass(frozen=True, kw_only=True)
class FirstFrame:
    """The first missing frame, which is handed on so that it is computed once, and what it or frame 0 reports."""

    number: int
    frame: vs.VideoFrame
    stream_format: StreamFormat  #: frame 0's
    made_by: dict[str, str]  #: what computes frame 0


def compute_first(graph: FilterGraph, chunks: Sequence[Chunk], journal: Journal) -> FirstFrame:
    """Compute the first frame that is missing, as far as the journal says.

    Frame 0 decides on the stream format, and on what computes the clip. It is computed besides only where the first
    missing frame says another thing than the journal, as each frame of a script's clip may.
    Raises: FrameError, ClipError for a format that no encoder takes.
    """
    finished = {entry["chunk"] for entry in journal.of_kind("chunk")}
    n = next((chunk.start for chunk in chunks if chunk.number not in finished), 0)
    frame = _frame(graph, n)
    begin = journal.of_kind("begin")

    @cache
    def props_of_zero() -> dict[str, Any]:
        with _frame(graph, 0) as zero:
            return dict(zero.props)

    made_by = read_report(frame.props)
    if n and not any(entry["facts"]["made_by"] == made_by_fingerprint(made_by) for entry in begin):
        made_by = read_report(props_of_zero())
    stream_format = stream_format_of(graph.clip, frame.props, graph.rate)
    if n and not any(entry.get("picture") == as_in_journal(stream_format) for entry in begin):
        stream_format = stream_format_of(graph.clip, props_of_zero(), graph.rate)
    return FirstFrame(number=n, frame=frame, stream_format=stream_format, made_by=made_by)


def _frame(graph: FilterGraph, n: int) -> vs.VideoFrame:
    """Frame ``n`` of the clip.

    Raises: FrameError.
    """
    try:
        return graph.clip.get_frame(n)
    except vs.Error as error:
        raise FrameError(f"frame must be computed, got {error}; finished chunks are kept") from error
